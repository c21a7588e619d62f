// headlight classify: lines in, labels out.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_classify(CLI::App& program, const Common& common);

}  // namespace headlight::app
