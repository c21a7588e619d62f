// headlight check: limits that a model must keep, for continuous integration.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_check(CLI::App& program, const Common& common);

}  // namespace headlight::app
