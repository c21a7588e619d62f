// headlight trace: all internals of one forward pass, as a safetensors file.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_trace(CLI::App& program, const Common& common);

}  // namespace headlight::app
