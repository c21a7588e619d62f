// headlight diff: which heads changed between two models.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_diff(CLI::App& program, const Common& common);

}  // namespace headlight::app
