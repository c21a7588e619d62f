// headlight bench: speed on the standard work, beside what is installed.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_bench(CLI::App& program, const Common& common);

}  // namespace headlight::app
