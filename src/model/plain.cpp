#include "model/plain.h"

#include <ATen/ATen.h>

#include "model/dropout.h"

namespace headlight::model::plain {

at::Tensor normalised(const at::Tensor& x, const NormWeights& weights, Norm norm, double epsilon) {
  if (norm == Norm::layer)
    return at::layer_norm(x, weights.gain.sizes(), weights.gain,
                          weights.shift.defined() ? std::optional(weights.shift) : std::nullopt,
                          epsilon);
  const at::Tensor root = (x * x).mean(-1, /*keepdim=*/true).add(epsilon).rsqrt();
  const at::Tensor out = x * root * weights.gain;
  return weights.shift.defined() ? out + weights.shift : out;
}

// The 32 random bits of cpu/kernels.cpp in 64-bit arithmetic.
at::Tensor dropped(const at::Tensor& x, double probability, uint64_t seed) {
  const int64_t low = 0xFFFFFFFF;
  const auto index = at::arange(x.numel(), x.options().dtype(at::kLong).requires_grad(false));
  at::Tensor bits = (index + static_cast<int64_t>(seed & 0xFFFFFFFF)).bitwise_and(low);
  bits = bits.bitwise_xor(bits.bitwise_right_shift(16));
  bits = (bits * 0x7FEB352D).bitwise_and(low);
  bits = bits.bitwise_xor(bits.bitwise_right_shift(15));
  bits = (bits + static_cast<int64_t>(seed >> 32)).bitwise_and(low);
  bits = (bits * 0x846CA68B).bitwise_and(low);
  bits = bits.bitwise_xor(bits.bitwise_right_shift(16));
  const at::Tensor kept = bits.ge(static_cast<int64_t>(dropout_threshold(probability)));
  return x * (kept.to(x.scalar_type()) / (1 - probability)).view(x.sizes());
}

at::Tensor embedded(const at::Tensor& tokens, const at::Tensor& table,
                    const at::Tensor& positions) {
  const at::Tensor rows = at::embedding(table, tokens);
  return positions.defined() ? rows + positions.narrow(0, 0, tokens.size(1)) : rows;
}

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing) {
  return at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, kUnscored, smoothing);
}

at::Tensor turned(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines) {
  const auto halves = x.chunk(2, -1);
  const at::Tensor c = cosines.unsqueeze(-2), s = sines.unsqueeze(-2);
  return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1);
}

at::Tensor attention_weights(const at::Tensor& q, const at::Tensor& k, bool causal, double scale,
                             const at::Tensor& key_lengths) {
  const int64_t group = q.size(1) / k.size(1), queries = q.size(2), keys = k.size(2);
  const auto all = k.repeat_interleave(group, 1);
  at::Tensor scores = at::matmul(q, all.transpose(-1, -2)) * scale;
  const auto integers = q.options().dtype(at::kLong).requires_grad(false);
  at::Tensor visible = at::ones({1, 1, queries, keys}, integers.dtype(at::kBool));
  const at::Tensor place = at::arange(keys, integers);
  if (causal)
    visible = visible & (place.unsqueeze(0) <= at::arange(queries, integers).unsqueeze(1));
  if (key_lengths.defined()) visible = visible & (place < key_lengths.view({-1, 1, 1, 1}));
  scores = scores.masked_fill(~visible, -1e30);
  return at::softmax(scores, -1).masked_fill(~visible, 0);
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal,
                     double scale, const at::Tensor& key_lengths) {
  const int64_t group = q.size(1) / k.size(1);
  return at::matmul(attention_weights(q, k, causal, scale, key_lengths),
                    v.repeat_interleave(group, 1));
}

}  // namespace headlight::model::plain
