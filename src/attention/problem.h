// From the caller's arguments to what a kernel is told.
#pragma once

#include <algorithm>
#include <cmath>

#include "attention/cpu/problem.h"

namespace headlight::attention {

// Fills the part that forward and backward share; Call is AttentionForward<E> or
// AttentionBackward<E>, Target the problem of the same direction.
template <typename Call, typename T, typename Target>
void resolve(const Call& call, const AttentionOptions<T>& options, Target& p) {
  // Windows beyond any position, so that adding them to one cannot overflow.
  constexpr int64_t kUnlimited = int64_t{1} << 41;
  p.shape = call.shape;
  p.q = call.q;
  p.k = call.k;
  p.v = call.v;
  p.out = call.out;
  p.most_queries = call.shape.queries;
  p.most_keys = call.shape.keys;
  if (call.shape.query_starts) {
    p.most_queries = p.most_keys = 0;
    for (int64_t b = 0; b < call.shape.batch; ++b) {
      const Sequence sequence = sequence_of(call.shape, b);
      p.most_queries = std::max(p.most_queries, sequence.queries);
      p.most_keys = std::max(p.most_keys, sequence.keys);
    }
  }
  p.options = options;
  p.options.window_left = std::min(options.window_left, kUnlimited);
  p.options.window_right = std::min(options.window_right, kUnlimited);
  p.scale = static_cast<T>(
      options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(call.shape.head_dim)));
  if (options.dropout > 0) {
    p.drop_below = static_cast<uint32_t>(
        std::clamp(std::round(options.dropout * 4294967296.0), 1.0, 4294967295.0));
    p.keep_scale = static_cast<T>(1 / (1 - options.dropout));
  }
}

// Packed sequences begin where their first row says, not at a stride.
template <typename... Tensor>
void without_batch_strides(const AttentionShape& shape, Tensor&... tensor) {
  if (shape.query_starts) ((tensor.batch_stride = 0), ...);
}

}  // namespace headlight::attention
