// headlight translate, summarize, answer, caption and generate: lines or images in, lines out, by a
// model that writes.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

void add_writing(CLI::App& program, const Common& common);

}  // namespace headlight::app
