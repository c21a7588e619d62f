// Where attention probabilities come from: an array, or queries and keys from which they are made
// again row by row. Nothing here owns the caller's memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "headlight/attention.h"

namespace headlight::heads {

// Which keys each query may attend to; the same for all heads. Query i stands at position
// i + query_offset, key j at j.
struct Visibility {
  bool causal = false;               // key position <= query position
  int64_t query_offset = 0;          // the length of the past in a cached chunk
  int64_t window = 0;                // |query - key| < window; 0: unlimited
  std::vector<uint8_t> query_valid;  // [queries], 0 = padding; empty: all are real
  std::vector<uint8_t> key_valid;    // [keys], 0 = padding; empty: all are real
  std::vector<uint8_t> allowed;      // [queries, keys], 1 = may attend; empty: all
};

// Probabilities [heads, queries, keys] in memory; each row is contiguous and sums to 1. Rows that
// sum to less than 1 by more than rounding are an error unless they may: a model with a learned
// sink has such rows, and what is missing is reported as no_op_mass.
template <typename T>
struct Probabilities {
  const T* data = nullptr;
  int64_t head_stride = 0;
  int64_t row_stride = 0;
  bool may_sum_to_less = false;
};

// Queries [heads, queries, head_dim] and keys [kv_heads, keys, head_dim] of one sequence; the batch
// strides are not used. Query head h reads KV head h / (heads / kv_heads).
struct QueriesAndKeys {
  HeadTensor<const float> q = {}, k = {};
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  double scale = 0;    // 0: 1 / sqrt(head_dim)
  double softcap = 0;  // 0: none
  // [heads, queries + keys - 1], added to the scores by key - query, the lowest first; or null.
  const float* bias = nullptr;
  const float* sinks = nullptr;  // [heads] learned logits in the denominator only, or null
};

// Values [kv_heads, keys, value_dim] and the output projection: the slice of head h is
// W_O^h[a, c] = w_o[h * head_stride + a * row_stride + c * column_stride], a < value_dim, c <
// width. A [width, heads * value_dim] linear weight has strides (value_dim, 1, heads * value_dim).
struct ValuesAndOutput {
  HeadTensor<const float> v = {};
  int64_t kv_heads = 0;
  int64_t value_dim = 0;
  const float* w_o = nullptr;
  int64_t head_stride = 0;
  int64_t row_stride = 0;
  int64_t column_stride = 1;
  int64_t width = 0;
};

// The attention of some heads over one sequence. Exactly one of the three sources is given.
struct Attention {
  int64_t heads = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  bool cross = false;  // queries and keys are different tokens: no distances, no graph
  Visibility visibility = {};
  std::optional<Probabilities<float>> float_probabilities = {};
  std::optional<Probabilities<double>> double_probabilities = {};
  std::optional<QueriesAndKeys> queries_and_keys = {};
  std::optional<ValuesAndOutput> output = {};
};

}  // namespace headlight::heads
