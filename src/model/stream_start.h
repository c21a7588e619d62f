// Where a stack's residual stream begins: tokens or patches of an image, with their positions.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/transformer.h"

namespace headlight::model {

// tokens [B, N] int64, or [B, N, W] with sentence_tokens, token_types [B, N] or undefined, the
// first token at place `first` of its sequence; returns [B, N, D]. Throws Error (bad_input) for
// tokens or types outside of their tables and for more places than the model has.
at::Tensor embedded_tokens(const Config& config, const Stack& stack, const at::Tensor& tokens,
                           const at::Tensor& token_types, int64_t first);

// pixels [B, C, height, width]; returns [B, 1 + patches, D], the class token first, then patches
// row by row (Dosovitskiy et al. 2021).
at::Tensor embedded_image(const Config& config, const Stack& stack, const at::Tensor& pixels);

}  // namespace headlight::model
