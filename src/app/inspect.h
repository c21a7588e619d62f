// headlight inspect: what every head of a model does.
#pragma once

#include <CLI/CLI.hpp>

#include "app/verb_options.h"

namespace headlight::app {

// The page of inspect for one text and its counterpart, by a model of two stacks.
void write_pair_page(const std::filesystem::path& model, const std::string& source,
                     const std::string& target, const std::filesystem::path& page,
                     const Common& common);

void add_inspect(CLI::App& program, const Common& common);

}  // namespace headlight::app
