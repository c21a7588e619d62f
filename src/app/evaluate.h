// headlight evaluate: how good lines are beside the lines that they should be.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_evaluate(CLI::App& program, const Common& common);

}  // namespace headlight::app
