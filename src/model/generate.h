// Text, token by token: keys and values of what was read are kept.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/transformer.h"

namespace headlight::model {

// What a decoder has read so far. Memory grows by doubling and is shared with copies: only one of
// them may read on. Several rows may read one source (beam search): B is then a multiple of the
// sources A, and the rows of a source are side by side.
struct Cache {
  struct Layer {
    at::Tensor key_value;  // [B, capacity, 2 Hkv d], the first `length` places in use
    at::Tensor cross;      // [A, S, 2 Hkv d] of the encoder's output
  };
  std::vector<Layer> layers;
  int64_t length = 0;
  at::Tensor memory;  // [A, S, D]: the encoder's output, once it has run
};

// Goes on with these rows [R] of what the decoder has read, in this order, repeats allowed.
void select_rows(Cache& cache, const at::Tensor& rows);
// And with these sources.
void select_sources(Cache& cache, const at::Tensor& sources);

struct Generation {
  int64_t tokens = 20;              // at most so many new ones
  std::vector<int64_t> end_tokens;  // a row ends behind one of these
  int64_t padding = 0;              // what follows the end of a row
};

// The token of the largest logit (the first of equals), again and again. inputs.tokens is the
// prompt, or for an encoder_decoder what the decoder starts with (undefined: the config's start
// token) behind inputs.source or inputs.pixels. Returns the new tokens [B, up to `tokens`]. Prompts
// of different lengths are padded at the left, with a mask.
at::Tensor generate(const Transformer& model, const Inputs& inputs, const Generation& how);

}  // namespace headlight::model
