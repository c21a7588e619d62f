// Cross entropy of a softmax over classes; the gradient is found in the same pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace headlight::model {

// How many labels are scored. Throws Error (bad_input) for labels that are no class.
int64_t count_scored(const at::Tensor& labels, int64_t classes);

// logits [R, C], labels [R] int64 with kUnscored where nothing is to be predicted. The mean in nats
// over scored rows (0 if there are none), with a gradient. The gradient is computed in the
// logits' own memory if `consume` is true: the caller must not use them again. `smoothing` from 0
// to 1 is the share of each label that is spread over all classes, as PyTorch's label_smoothing
// (Szegedy et al. 2016).
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, bool consume,
                         double smoothing = 0);

// Row by row: nats [R] double (0 where unscored) and the place of the largest logit [R] int64.
struct Scores {
  at::Tensor nats, largest;
};
Scores scores(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace headlight::model
