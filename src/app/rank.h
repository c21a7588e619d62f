// headlight rank: how much a model's loss needs every head.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_rank(CLI::App& program, const Common& common);

}  // namespace headlight::app
