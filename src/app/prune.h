// headlight prune: a smaller checkpoint, measured and checked before it is there.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_prune(CLI::App& program, const Common& common);

}  // namespace headlight::app
