// Attention made up for tests.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "headlight/splitmix64.h"
#include "heads/analysis.h"
#include "heads/token_graph.h"

namespace headlight::heads {

using Rows = std::vector<double>;  // [n, n]

inline double normal(SplitMix64& random) {
  const double u = 1 - random.uniform(), v = random.uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

// Softmax of normal scores times `sharpness`.
inline Rows random_rows(int64_t n, bool causal, double sharpness, uint64_t seed) {
  SplitMix64 random(seed);
  Rows rows(n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t end = causal ? i + 1 : n;
    double sum = 0;
    for (int64_t j = 0; j < end; ++j) sum += rows[i * n + j] = std::exp(sharpness * normal(random));
    for (int64_t j = 0; j < end; ++j) rows[i * n + j] /= sum;
  }
  return rows;
}

// Row i looks at column(i) alone.
template <typename Column>
Rows one_hot(int64_t n, const Column& column) {
  Rows rows(n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) rows[i * n + column(i)] = 1;
  return rows;
}

inline Rows uniform(int64_t n, bool causal) {
  Rows rows(n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t end = causal ? i + 1 : n;
    for (int64_t j = 0; j < end; ++j) rows[i * n + j] = 1 / static_cast<double>(end);
  }
  return rows;
}

inline Rows chain(int64_t n) {
  return one_hot(n, [](int64_t i) { return std::max<int64_t>(0, i - 1); });
}
inline Rows identity(int64_t n) {
  return one_hot(n, [](int64_t i) { return i; });
}

inline Rows stack(const std::vector<Rows>& heads) {
  Rows all;
  for (const Rows& head : heads) all.insert(all.end(), head.begin(), head.end());
  return all;
}

// Points into `rows`, [heads, n, n].
inline Attention attention_of(const Rows& rows, int64_t heads, int64_t n, bool causal) {
  Attention attention{.heads = heads, .queries = n, .keys = n};
  attention.visibility.causal = causal;
  attention.double_probabilities = Probabilities<double>{rows.data(), n * n, n};
  return attention;
}

inline Flow flow_of(const Rows& rows, int64_t n, bool causal) {
  return analyse(attention_of(rows, 1, n, causal)).flow.at(0).heads.at(0);
}

inline Structure structure_of(const Rows& rows, int64_t n, bool causal) {
  return analyse(attention_of(rows, 1, n, causal)).structure.at(0);
}

// Random queries, keys, values and output projections, and the attention that points into them.
struct RandomHeads {
  std::vector<float> q, k, v, w_o;
  Attention attention;
};
inline RandomHeads random_heads(int64_t heads, int64_t kv_heads, int64_t n, int64_t dim,
                                bool causal, uint64_t seed) {
  SplitMix64 random(seed);
  RandomHeads made;
  const auto fill = [&](std::vector<float>& values, int64_t size) {
    for (int64_t i = 0; i < size; ++i) values.push_back(static_cast<float>(normal(random)));
  };
  fill(made.q, heads * n * dim);
  fill(made.k, kv_heads * n * dim);
  fill(made.v, kv_heads * n * dim);
  fill(made.w_o, heads * dim * 2 * dim);
  made.attention = Attention{.heads = heads, .queries = n, .keys = n};
  made.attention.visibility.causal = causal;
  made.attention.queries_and_keys = QueriesAndKeys{.q = {made.q.data(), 0, n * dim, dim},
                                                   .k = {made.k.data(), 0, n * dim, dim},
                                                   .kv_heads = kv_heads,
                                                   .head_dim = dim};
  made.attention.output = ValuesAndOutput{.v = {made.v.data(), 0, n * dim, dim},
                                          .kv_heads = kv_heads,
                                          .value_dim = dim,
                                          .w_o = made.w_o.data(),
                                          .head_stride = 2 * dim * dim,
                                          .row_stride = 2 * dim,
                                          .column_stride = 1,
                                          .width = 2 * dim};
  return made;
}

}  // namespace headlight::heads
