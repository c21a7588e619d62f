// Writing token by token: what every row of a batch could go on with. Greedy search, sampling and
// beam search choose among that.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/generate.h"
#include "model/transformer.h"

namespace headlight::model {

// The longest sequence that a model reads; 0: any.
int64_t longest_sequence(const Config& config);

// Throws Error (usage) for a model that is no causal decoder with an output layer.
class NextToken {
 public:
  // inputs.tokens is the prompt [B, N], no padding in it; for an encoder_decoder it may be
  // undefined (the config's start token), and inputs.source has a row, padded at the end, for each
  // of B, or inputs.pixels an image.
  NextToken(const Transformer& model, const Inputs& inputs);

  // R, which is B at first.
  int64_t rows() const;

  // What comes next.
  struct Choice {
    at::Tensor logits;       // [R, V] float32 on the CPU; minus infinity where forbidden
    at::Tensor normalisers;  // [R] double: a logit minus this is the logarithm of a probability
  };
  // Throws Error (bad_input) where the logits are no numbers.
  Choice choice(const std::vector<int64_t>& forbidden);

  // Row i from now on is row rows[i] of before, followed by tokens[i]. Sources that no row reads
  // any more are left out: `sources` lists the others, and every one of them has as many rows as
  // the next, side by side.
  void go_on(const std::vector<int64_t>& rows, const std::vector<int64_t>& tokens,
             const std::vector<int64_t>& sources);

  // Tokens that a row may still get before the model runs out of positions; many if it never does.
  int64_t room() const;

 private:
  const Transformer& model_;
  Inputs now_;
  Cache cache_;
};

}  // namespace headlight::model
