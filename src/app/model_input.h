// What a verb's model reads: --text, --file, --lines, --pairs, --tokens, --image or --inputs.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/text_lines.h"
#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::app {

struct InputOptions {
  std::filesystem::path model;
  std::optional<std::string> text, tokens;
  std::filesystem::path file, lines, image, inputs;
  std::vector<std::string> pairs;
  // For verbs that read files of their own: one example each, and what belongs to each of them.
  std::vector<Line> texts, targets;
};

// Adds MODEL and the inputs, of which exactly one must be given.
void add_input_options(CLI::App& verb, InputOptions& options);

// Throws Error (usage) if there is nothing to read.
void need_input(const InputOptions& options);

// MODEL. Throws Error: usage if there is nothing for it to read, and as model::load().
model::Transformer load_model(const InputOptions& options);

// One row per example, in one batch.
struct ModelInput {
  model::Inputs inputs;  // rows that are shorter are padded at the end, with a mask
  at::Tensor labels;     // as transformers takes them; undefined: none
  at::Tensor readout_weight, readout_bias;  // from --inputs only
  // By row, where text was given; for models of two stacks the tokens of the encoder, then those
  // of the decoder.
  struct Words {
    std::vector<std::string> tokens;
    bool starts_special = false;      // the tokenizer put the first one there
    std::vector<int64_t> separators;  // places of special tokens that do not begin the text
  };
  std::vector<Words> words, target_words;
  std::string note;  // what was done that the user did not ask for; may be empty
};

// Throws Error (usage, bad_input) that names the option or the file, the place and the remedy, for
// everything that the model cannot read.
ModelInput read_model_input(const InputOptions& options, const model::Transformer& model);

// Pairs of texts for a base model to match (model/sentence_pairs.h): each text a row of its own.
// Throws as read_model_input().
ModelInput read_partners(const InputOptions& options, const model::Transformer& model);

// How many tokens the positions of a stack allow; 0: any number.
int64_t longest_text(const model::Config& config, const model::Stack& stack);

// Row by row, without the padding at their ends.
std::vector<lab::Example> examples_of(const ModelInput& input, const model::Config& config);
int64_t row_count(const model::Inputs& inputs);

}  // namespace headlight::app
