// headlight tokenize: what a model's tokenizer makes of text, and back.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_tokenize(CLI::App& program, const Common& common);

}  // namespace headlight::app
