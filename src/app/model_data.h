// The data that a model's loss is measured on: what it reads, with labels.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/model_input.h"

namespace headlight::app {

// Tokens that a model reads at once to be measured.
inline constexpr int64_t kBatchTokens = 4096;

struct DataOptions {
  InputOptions input;
  std::filesystem::path data, labels;
};

// MODEL, the inputs of every verb that takes one, --data and --labels.
void add_data_options(CLI::App& verb, DataOptions& options);

// MODEL. Throws Error: usage if there is nothing for it to read, and as model::load().
model::Transformer load_model(const DataOptions& options);

struct ModelData {
  model::Transformer model;            // with the read-out of --inputs in place of its own
  std::vector<lab::Example> examples;  // each with at least one scored label
  std::string note;                    // what was done that the user did not ask for
  std::string unit = "token";          // what is scored: "token", "example" or "pair"
  int64_t start_token = -1;            // what the tokenizer puts in front of every text
};

// Labels are those of --inputs, the target of a pair, the class in the second column of a .tsv or
// in --labels, and otherwise the text itself: every next token, or tokens that are masked (by the
// seed). Throws Error (usage, bad_input) naming the remedy for data without a loss, and as
// read_model_input().
ModelData read_data(const DataOptions& options, const model::Transformer& model, uint64_t seed);

// The same as inspect reads it, for what heads do: nothing is masked, and labels are only there
// where the data holds them.
ModelData read_examples(const DataOptions& options, const model::Transformer& model);

}  // namespace headlight::app
