// The one forward pass of every Transformer.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/transformer.h"

namespace headlight::model {

// [B, N, D] after the final norm, or with `rows` [R] of the B N places only those: [R, D]. The
// inputs' shapes have been checked.
at::Tensor forward(const Transformer& model, const Inputs& inputs, const Pass& pass,
                   const at::Tensor& rows);

// How many tokens the pass's cache holds.
int64_t past_of(const Pass& pass);

}  // namespace headlight::model
