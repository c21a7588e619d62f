// The whole model once more, in libtorch's plain terms and without dropout.
#pragma once

#include "model/transformer.h"

namespace headlight::model::testing {

at::Tensor plain_logits(const Transformer& model, const Inputs& inputs);

// Logits, the number of parameters, and the gradients of the loss by all of them and by `inputs`'
// leaves in `others` are those of the plain model, which is in double precision.
void expect_the_plain_one(const Transformer& model, const Inputs& inputs, const at::Tensor& labels,
                          std::vector<at::Tensor> others = {});

}  // namespace headlight::model::testing
