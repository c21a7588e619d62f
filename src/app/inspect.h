// headlight inspect: what every head of a model does.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_inspect(CLI::App& program, const Common& common);

}  // namespace headlight::app
