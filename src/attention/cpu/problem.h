// What a kernel is told: the caller's arguments with every default resolved.
#pragma once

#include <cstdint>

#include "headlight/attention.h"

namespace headlight::attention {

// What every pass over numbers of T needs; T is what it calculates in.
template <typename T>
struct Problem {
  AttentionShape shape;
  AttentionOptions<T> options;
  T scale = 0;
  uint32_t drop_below = 0;   // a weight is dropped if its 32-bit hash is below; 0: no dropout
  T keep_scale = 1;          // 1 / (1 - dropout)
  int64_t most_queries = 0;  // of one sequence
  int64_t most_keys = 0;
  bool with_statistics = false;  // of rows, in a forward pass
  int64_t local_window = 0;      // of these
};

// E is what the tensors hold. Batch strides are 0 where sequences are packed.
template <typename E>
struct ForwardProblem : Problem<Compute<E>> {
  HeadTensor<const E> q, k, v;
  HeadTensor<E> out;
  Compute<E>* lse = nullptr;
  AttentionStatistics<Compute<E>> statistics;
  // [batch, heads, queries]: the logarithm of the denominator without the sink. Null: not wanted.
  Compute<E>* key_lse = nullptr;
};

template <typename E>
struct BackwardProblem : Problem<Compute<E>> {
  using T = Compute<E>;
  HeadTensor<const E> q, k, v, out, grad_out;
  const T* lse = nullptr;
  HeadTensor<E> grad_q, grad_k, grad_v;
  ScoreTensor<T> grad_bias;
  // The keys of a KV head may be shared out in chunks; each writes its own part of grad_q, [chunk,
  // batch, heads, queries, head_dim], to be summed in order. Null: one chunk, straight to grad_q.
  T* grad_q_parts = nullptr;
  int64_t rows = 0;  // of one such part
  // [batch, heads]: what each head of each sequence adds to grad_sinks. Null: not wanted.
  T* grad_sink_parts = nullptr;
};

// One sequence of the batch: how long it is and where its rows begin in the tensors. (Always
// inline: kernels may define nothing that other code could be linked to.)
struct Sequence {
  int64_t queries, keys;
  int64_t first_query, first_key;
};

__attribute__((always_inline)) inline Sequence sequence_of(const AttentionShape& s, int64_t batch) {
  if (!s.query_starts) return {s.queries, s.keys, 0, 0};
  return {s.query_starts[batch + 1] - s.query_starts[batch],
          s.key_starts[batch + 1] - s.key_starts[batch], s.query_starts[batch],
          s.key_starts[batch]};
}

// Where the first query of a head of a sequence is in [batch, heads, queries], packed [heads,
// queries].
__attribute__((always_inline)) inline int64_t first_row(const AttentionShape& s, int64_t batch,
                                                        int64_t head) {
  return s.query_starts ? head * s.queries + s.query_starts[batch]
                        : (batch * s.heads + head) * s.queries;
}

}  // namespace headlight::attention
