// The attention core of include/headlight/attention.h as one libtorch operation with a gradient;
// libtorch's own attention on CUDA.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace headlight::model {

struct AttentionSettings {
  int64_t heads = 1;
  int64_t kv_heads = 1;
  bool causal = false;
  int64_t past = 0;    // causal: query i stands at key i + past
  int64_t window = 0;  // causal: how many keys a query sees, itself included; 0: all
  double scale = 0;    // 0: 1 / sqrt(head_dim)
  double softcap = 0;  // c tanh(score / c); 0: none
  double dropout = 0;
  uint64_t seed = 0;       // of the dropout mask
  at::Tensor key_lengths;  // [B] int64: keys from there on are padding; or undefined
  at::Tensor key_allowed;  // [B, S] bool: false is padding; or undefined
  // [H, N + S - 1], added to the scores by key - query, the lowest first; with a gradient; or
  // undefined
  at::Tensor bias;
};

// qkv [B, N, (H + 2 Hkv) d], read in place; returns [B, N, H d], head by head, ready for the output
// projection. float32 or float64. A query that sees no key gives zeros. Where `lse` is given it
// becomes the logarithm of the softmax's denominator [B, H, N], without a gradient (CPU only).
at::Tensor self_attention(const at::Tensor& qkv, const AttentionSettings& settings,
                          at::Tensor* lse = nullptr);

// query [B, N, H d], key_value [B, S, 2 Hkv d].
at::Tensor cross_attention(const at::Tensor& query, const at::Tensor& key_value,
                           const AttentionSettings& settings, at::Tensor* lse = nullptr);

}  // namespace headlight::model
