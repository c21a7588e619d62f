// What the attention of attention_op.h runs on each kind of device. Without a key_value the query
// is packed: [B, N, (H + 2 Hkv) d].
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "model/attention_op.h"

namespace headlight::model {

using OptionalTensor = std::optional<at::Tensor>;

struct Attended {
  at::Tensor out, lse;
};
Attended cpu_attention(const at::Tensor& query, const OptionalTensor& key_value,
                       const AttentionSettings& settings);

struct AttentionGradients {
  at::Tensor query, key_value, bias;  // bias only if asked for
};
AttentionGradients cpu_attention_backward(const at::Tensor& grad, const at::Tensor& query,
                                          const OptionalTensor& key_value, const Attended& attended,
                                          const AttentionSettings& settings, bool bias_gradient);

// libtorch's own attention, which brings its own gradient; the dropout mask is libtorch's, not the
// seed's.
at::Tensor cuda_attention(const at::Tensor& query, const OptionalTensor& key_value,
                          const AttentionSettings& settings);

}  // namespace headlight::model
