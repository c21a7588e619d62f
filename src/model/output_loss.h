// The output layer and its cross entropy in one, for training: the logits of a few rows at a time,
// which never leave the caches, and all gradients with them.
#pragma once

#include <ATen/core/Tensor.h>

namespace headlight::model {

// The mean of cross_entropy() over linear(x, weight, bias), a scalar with gradients: x [R, D],
// weight [C, D], bias [C] or undefined, labels [R] int64. Throws Error (bad_input) for labels that
// are no class. Rows that are not scored cost nothing.
at::Tensor output_loss(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const at::Tensor& labels, double smoothing);

// Whether it is the faster way here: with gradients, in float32 on the CPU, for many classes, where
// our own products are.
bool output_loss_pays(const at::Tensor& x, const at::Tensor& weight);

}  // namespace headlight::model
