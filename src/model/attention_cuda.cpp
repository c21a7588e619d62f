#include <ATen/ATen.h>

#include "model/attention_kernels.h"
#include "model/relative_bias.h"

namespace headlight::model {

at::Tensor cuda_attention(const at::Tensor& query, const OptionalTensor& key_value,
                          const AttentionSettings& s) {
  const int64_t blocks = key_value ? s.heads : s.heads + 2 * s.kv_heads;
  const int64_t d = query.size(2) / blocks;
  const at::Tensor& kv = key_value ? *key_value : query;
  const auto part = [d](const at::Tensor& packed, int64_t first, int64_t count) {
    return packed.narrow(2, first * d, count * d).unflatten(2, {count, d}).transpose(1, 2);
  };
  const int64_t k_first = key_value ? 0 : s.heads;
  const at::Tensor q = part(query, 0, s.heads);
  const at::Tensor k = part(kv, k_first, s.kv_heads);
  const at::Tensor v = part(kv, k_first + s.kv_heads, s.kv_heads);

  at::Tensor visible;  // broadcasts to [B, H, N, S]
  const auto and_also = [&](const at::Tensor& more) {
    visible = visible.defined() ? visible.logical_and(more) : more;
  };
  const auto integers = query.options().dtype(at::kLong).requires_grad(false);
  const at::Tensor key = at::arange(k.size(2), integers);
  if (s.key_lengths.defined()) and_also(key < s.key_lengths.to(query.device()).view({-1, 1, 1, 1}));
  if (s.key_allowed.defined()) and_also(s.key_allowed.to(query.device()).unsqueeze(1).unsqueeze(1));
  const bool plainly_causal =
      s.causal && !visible.defined() && s.past == 0 && s.window == 0 && !s.bias.defined();
  if (s.causal && (!plainly_causal || s.softcap > 0)) {
    const at::Tensor at = at::arange(q.size(2), integers).unsqueeze(1) + s.past;
    and_also(key <= at);
    if (s.window > 0) and_also(key > at - s.window);
  }
  const at::Tensor bias =
      s.bias.defined() ? bias_matrix(s.bias, k.size(2)).unsqueeze(0) : at::Tensor();
  const at::Tensor mask =
      bias.defined() && visible.defined()
          ? bias.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity())
          : (bias.defined() ? bias : visible);
  if (s.softcap > 0) {
    const int64_t group = s.heads / s.kv_heads;
    at::Tensor scores = at::matmul(q, k.repeat_interleave(group, 1).transpose(2, 3)) * s.scale;
    scores = s.softcap * at::tanh(scores / s.softcap);
    if (bias.defined()) scores = scores + bias;
    if (visible.defined())
      scores = scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
    const at::Tensor weights = at::dropout(at::softmax(scores, -1).nan_to_num(0), s.dropout, true);
    return at::matmul(weights, v.repeat_interleave(group, 1)).transpose(1, 2).flatten(2);
  }
  const at::Tensor out = at::scaled_dot_product_attention(
      q, k, v, mask.defined() ? OptionalTensor(mask) : std::nullopt, s.dropout, plainly_causal,
      s.scale, /*enable_gqa=*/s.heads != s.kv_heads);
  return out.transpose(1, 2).flatten(2);
}

}  // namespace headlight::model
