// What a model is measured on: examples, the batches they are read in, and their losses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace headlight::lab {

// One sequence, or one pair of them. Pairs of texts that a base model is to match
// (model/sentence_pairs.h) have any label [1]: in a batch it is the pair's own place.
struct Example {
  model::Inputs inputs;  // one row
  // [1, N], each of its own place, or [1] where the output reads one token; undefined: none.
  at::Tensor labels;
  std::vector<int64_t> separators, target_separators;  // places of special tokens
  std::vector<std::string> words, target_words;        // tokens in print, where text was given
};

struct Batch {
  model::Inputs inputs;
  at::Tensor labels;              // undefined if an example has none
  std::vector<int64_t> examples;  // which one stands in each row
};

// Pairs that are told apart from one another, whatever their length: so many, and less than twice.
inline constexpr int64_t kPairsTogether = 32;

// Examples of like length together, padded at the end with a mask, at most so many tokens a batch
// (one example at least); pairs that are told apart in batches of one size, as far as it goes. The
// longest first, so that memory runs out at once or never.
std::vector<Batch> batches_of(const model::Config& config, const std::vector<Example>& examples,
                              int64_t tokens);

// By example.
struct Losses {
  std::vector<double> nats;      // summed over scored labels
  std::vector<int64_t> scored;   // how many
  std::vector<int64_t> correct;  // of these, how many are the likeliest class
};
Losses losses_of(const model::Transformer& model, const std::vector<Batch>& batches,
                 const model::Gates* gates = nullptr);

// Nats per scored label of all examples together: the loss that transformers gives for a batch.
double mean_loss(const Losses& losses);

}  // namespace headlight::lab
