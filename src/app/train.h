// headlight train: a model of your own that writes.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_train(CLI::App& program, Common& common);

}  // namespace headlight::app
