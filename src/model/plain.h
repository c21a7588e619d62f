// The fused operations of this folder in libtorch's own terms: what runs on devices for which
// there are no kernels, and what the tests hold the kernels against.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/config.h"
#include "model/transformer.h"

namespace headlight::model::plain {

at::Tensor normalised(const at::Tensor& x, const NormWeights& weights, Norm norm, double epsilon);
at::Tensor dropped(const at::Tensor& x, double probability, uint64_t seed);
at::Tensor embedded(const at::Tensor& tokens, const at::Tensor& table, const at::Tensor& positions);
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing = 0);
// x [..., heads, d].
at::Tensor turned(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines);

// The attention of attention_op.h with its whole probability matrix: q [B, H, N, d], k and v
// [B, Hkv, S, d], lengths [B] or undefined. A query without keys gives zeros.
at::Tensor attention_weights(const at::Tensor& q, const at::Tensor& k, bool causal, double scale,
                             const at::Tensor& key_lengths);
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                     double scale, const at::Tensor& key_lengths);

}  // namespace headlight::model::plain
