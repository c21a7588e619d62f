// The backward pass of heads at most half as wide as a vector is long, over few keys, as small
// models have them: two vectors of queries, in lanes, meet one key after the other in one loop, and
// nothing is stored in between. Gradients of keys and values stay apart by lane until all queries
// have been there. (The forward pass of such heads gains nothing this way.)
//
// Only for plain attention under lengths, causality, window and dropout; and where a NaN or
// infinity of a masked pair may have got through, it gives up and the general kernel does the work
// again.
#pragma once

#include "attention/cpu/gradients.inl"

namespace headlight::attention {
namespace {

constexpr int kWidestNarrow = 4;
constexpr int64_t kMostNarrowKeys = 256;

template <class S>
HEADLIGHT_INLINE bool is_narrow(const Problem<typename S::Scalar>& p) {
  const AttentionOptions<typename S::Scalar>& o = p.options;
  return larger(p.shape.head_dim, p.shape.value_dim) <= smaller(kWidestNarrow, S::kLanes / 2) &&
         p.most_keys <= kMostNarrowKeys && !o.bias.data && !o.mask.data && !o.allowed.data &&
         !o.sinks && !(o.softcap > 0);
}

template <typename T>
struct NarrowScratch {
  T* keys;    // [keys, dim]
  T* values;  // [keys, dim]
  PreparedTile<T> tile;
  T* lanes;  // [dim, lanes] outputs, then the gradient of the queries
  // [lanes, padded dim] on the way from or to 16 bits; else null.
  T* query_rows;
  T* grad_out_rows;
  T* out_rows;
  T* grad_keys;    // [keys, dim, vector]
  T* grad_values;  // [keys, dim, vector]
  int64_t size;    // of all of it
};

template <class S, class E>
HEADLIGHT_INLINE NarrowScratch<typename S::Scalar> narrow_scratch(int64_t most_keys,
                                                                  typename S::Scalar* memory) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = 2 * S::kLanes;
  NarrowScratch<T> s;
  s.size = 0;
  const auto take = [&](int64_t count) {
    T* result = memory ? memory + s.size : nullptr;
    s.size += round_up(count, 64);
    return result;
  };
  const int64_t packed = round_up(most_keys * kWidestNarrow, S::kLanes);
  s.keys = take(packed);
  s.values = take(packed);
  s.tile.queries = take(kWidestNarrow * kLanes);
  s.tile.grad_out = take(kWidestNarrow * kLanes);
  s.tile.lse = take(kLanes);
  s.tile.delta = take(kLanes);
  s.lanes = take(kWidestNarrow * kLanes);
  const auto take_rows = [&] { return std::is_same_v<E, T> ? nullptr : take(kLanes * S::kLanes); };
  s.query_rows = take_rows();
  s.grad_out_rows = take_rows();
  s.out_rows = take_rows();
  s.grad_keys = take(packed * S::kLanes);
  s.grad_values = take(packed * S::kLanes);
  return s;
}

// to [count, dim] = from; the usual dim is kDim.
template <int kDim, typename T>
HEADLIGHT_INLINE void copy_rows(const T* from, int64_t from_stride, int64_t count, int64_t dim,
                                T* to, int64_t to_stride) {
  if (dim == kDim) {
    for (int64_t r = 0; r < count; ++r) {
      __builtin_memcpy(to + r * to_stride, from + r * from_stride, kDim * sizeof(T));
    }
    return;
  }
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t c = 0; c < dim; ++c) to[r * to_stride + c] = from[r * from_stride + c];
  }
}

// to [count, kDim] = rows of dim columns, and zeros.
template <class S, int kDim, class E>
HEADLIGHT_INLINE void pack_rows(const E* rows, int64_t stride, int64_t count, int64_t dim,
                                typename S::Scalar* to) {
  if constexpr (std::is_same_v<E, typename S::Scalar>) {
    copy_rows<kDim>(rows, stride, count, dim, to, kDim);
  } else {
    for (int64_t r = 0; r < count; ++r) convert_row<S>(rows + r * stride, dim, to + r * kDim);
  }
  for (int64_t r = 0; r < count && dim < kDim; ++r) {
    for (int64_t c = dim; c < kDim; ++c) to[r * kDim + c] = 0;
  }
}

// Calls body(key, seen), where seen(vector) tells which rows see the key, or is std::false_type
// where all lanes hold rows that do.
template <class S, class Body>
HEADLIGHT_INLINE void for_each_key(const Tile<S, 2>& t, const Body& body) {
  using Int = typename S::Int;
  const int64_t left =
      t.rows < t.kLanes ? t.seen.end : larger(t.seen.begin, smaller(t.shared.begin, t.seen.end));
  const int64_t right = larger(left, smaller(t.shared.end, t.seen.end));
  const auto at_an_edge = [&](int64_t begin, int64_t end) HEADLIGHT_INLINE_LAMBDA {
    for (int64_t j = begin; j < end; ++j) {
      body(j, [&](int v) HEADLIGHT_INLINE_LAMBDA {
        const typename S::IntVec row = S::iota() + Int(v * S::kLanes);
        return (row <= S::all_int(Int(smaller(j - t.begin, t.rows - 1)))) &
               (row > S::all_int(Int(j - t.end)));
      });
    }
  };
  at_an_edge(t.seen.begin, left);
  for (int64_t j = left; j < right; ++j) body(j, std::false_type());
  at_an_edge(right, t.seen.end);
}

// <row, lanes> for a row of kDim numbers.
template <class S, int kDim>
HEADLIGHT_INLINE void dot_with_lanes(const typename S::Scalar* row,
                                     const typename S::Vec (&lanes)[kDim][2],
                                     typename S::Vec (&result)[2]) {
#pragma GCC unroll 2
  for (int v = 0; v < 2; ++v) result[v] = lanes[0][v] * row[0];
#pragma GCC unroll 4
  for (int c = 1; c < kDim; ++c) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) result[v] += lanes[c][v] * row[c];
  }
}

// What one tile adds to all gradients. Returns whether all of grad_q is finite.
template <class S, int kDim, class E>
__attribute__((noinline)) bool narrow_gradients(const BackwardProblem<E>& p, const Tile<S, 2>& t,
                                                const NarrowScratch<typename S::Scalar>& w) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  constexpr int64_t kLanes = 2 * S::kLanes;
  const int64_t row = t.sequence.first_query + t.first;
  prepare_tile(p, t,
               readable_rows<S>(row_of(p.q, t.batch, t.head, row), p.q.row_stride, t.rows,
                                p.shape.head_dim, w.query_rows, S::kLanes),
               readable_rows<S>(row_of(p.grad_out, t.batch, t.head, row), p.grad_out.row_stride,
                                t.rows, p.shape.value_dim, w.grad_out_rows, S::kLanes),
               w.tile, w.lanes, w.out_rows);
  Vec queries[kDim][2], grad_out[kDim][2], grad_queries[kDim][2], lse[2], delta[2];
  for (int v = 0; v < 2; ++v) {
    lse[v] = S::load(w.tile.lse + v * S::kLanes);
    delta[v] = S::load(w.tile.delta + v * S::kLanes);
    for (int c = 0; c < kDim; ++c) {
      queries[c][v] = S::load(w.tile.queries + c * kLanes + v * S::kLanes);
      grad_out[c][v] = S::load(w.tile.grad_out + c * kLanes + v * S::kLanes);
      grad_queries[c][v] = S::zero();
    }
  }
  const auto meet_keys = [&](auto with_dropout) HEADLIGHT_INLINE_LAMBDA {
    for_each_key(t, [&](int64_t j, auto seen) HEADLIGHT_INLINE_LAMBDA {
      Vec weight[2], gradient[2];
      dot_with_lanes<S, kDim>(w.keys + j * kDim, queries, weight);
      dot_with_lanes<S, kDim>(w.values + j * kDim, grad_out, gradient);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        weight[v] = exp<S>(weight[v] - lse[v]);
        if constexpr (with_dropout) {
          const typename S::IntVec keep =
              dropout_keeps<S>(t.low + v * S::kLanes, t.high + v * S::kLanes, j, p.drop_below);
          gradient[v] = keep ? gradient[v] * p.keep_scale : S::zero();
          gradient[v] = weight[v] * (gradient[v] - delta[v]);
          weight[v] = keep ? weight[v] * p.keep_scale : S::zero();
        } else {
          gradient[v] = weight[v] * (gradient[v] - delta[v]);
        }
        if constexpr (!std::is_same_v<decltype(seen), std::false_type>) {
          const auto sees = seen(v);
          weight[v] = sees ? weight[v] : S::zero();
          gradient[v] = sees ? gradient[v] : S::zero();
        }
      }
      T* grad_key = w.grad_keys + j * kDim * S::kLanes;
      T* grad_value = w.grad_values + j * kDim * S::kLanes;
#pragma GCC unroll 4
      for (int c = 0; c < kDim; ++c) {
        Vec of_key = S::load(grad_key + c * S::kLanes);
        Vec of_value = S::load(grad_value + c * S::kLanes);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
          grad_queries[c][v] += gradient[v] * w.keys[j * kDim + c];
          of_key += gradient[v] * queries[c][v];
          of_value += weight[v] * grad_out[c][v];
        }
        S::store(grad_key + c * S::kLanes, of_key);
        S::store(grad_value + c * S::kLanes, of_value);
      }
    });
  };
  if (p.drop_below > 0) {
    meet_keys(std::true_type());
  } else {
    meet_keys(std::false_type());
  }
  if (!p.grad_q.data) return true;
  T factors[kLanes];
  for (int64_t r = 0; r < kLanes; ++r) factors[r] = p.scale;
  for (int c = 0; c < kDim; ++c) {
    for (int v = 0; v < 2; ++v) S::store(w.lanes + c * kLanes + v * S::kLanes, grad_queries[c][v]);
  }
  lanes_to_elements<S>(w.lanes, kLanes, p.shape.head_dim, factors, t.rows,
                       row_of(p.grad_q, t.batch, t.head, row), p.grad_q.row_stride, w.query_rows);
  return !any_not_finite<S>(w.lanes, kDim * kLanes);
}

// rows [count, dim] = the sums over lanes of x [count, kDim, vector], which is overwritten; returns
// whether they are finite. x goes on with zeros for a vector of rows.
template <class S, int kDim, class E>
HEADLIGHT_INLINE bool write_sums_of_lanes(typename S::Scalar* x, int64_t count, int64_t dim,
                                          E* rows, int64_t stride) {
  using T = typename S::Scalar;
  typename S::Vec check = S::zero();
  for (int64_t e = 0; e < count * kDim; e += S::kLanes) {
    typename S::Vec part[S::kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < S::kLanes; ++i) part[i] = S::load(x + (e + i) * S::kLanes);
    const typename S::Vec sums = sums_of_lanes<S>(part);
    check += sums * T(0);
    S::store(x + e, sums);
  }
  if constexpr (std::is_same_v<E, T>) {
    copy_rows<kDim>(x, kDim, count, dim, rows, stride);
  } else {
    for (int64_t r = 0; r < count; ++r) convert_row<S>(x + r * kDim, dim, rows + r * stride);
  }
  return !S::any(check != S::zero());
}

// All queries and keys of a KV head; false if the general kernel has to do it again.
template <class S, int kDim, class E>
bool narrow_backward_of(const BackwardProblem<E>& p, int64_t batch, int64_t kv_head,
                        typename S::Scalar* memory) {
  using T = typename S::Scalar;
  const NarrowScratch<T> w = narrow_scratch<S, E>(p.most_keys, memory);
  const Sequence sequence = sequence_of(p.shape, batch);
  const int64_t keys = sequence.keys;
  const int64_t row = sequence.first_key;
  pack_rows<S, kDim>(row_of(p.k, batch, kv_head, row), p.k.row_stride, keys, p.shape.head_dim,
                     w.keys);
  pack_rows<S, kDim>(row_of(p.v, batch, kv_head, row), p.v.row_stride, keys, p.shape.value_dim,
                     w.values);
  // Columns that the tiles of narrower heads do not fill.
  for (int64_t e = 0; e < kDim * 2 * S::kLanes; ++e) w.tile.queries[e] = w.tile.grad_out[e] = 0;
  for (int64_t e = 0; e < round_up(keys * kDim, S::kLanes); ++e) {
    S::store(w.grad_keys + e * S::kLanes, S::zero());
    S::store(w.grad_values + e * S::kLanes, S::zero());
  }
  bool masked = false;
  bool finite = true;
  const int64_t group = p.shape.heads / p.shape.kv_heads;
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t i = 0; i < sequence.queries; i += 2 * S::kLanes) {
      Tile<S, 2> t;
      start_tile(p, batch, head, i, smaller(2 * S::kLanes, sequence.queries - i), t);
      masked |= t.seen.begin < t.shared.begin || t.seen.end > t.shared.end;
      finite &= narrow_gradients<S, kDim>(p, t, w);
    }
  }
  if (p.grad_k.data) {
    finite &=
        write_sums_of_lanes<S, kDim>(w.grad_keys, keys, p.shape.head_dim,
                                     row_of(p.grad_k, batch, kv_head, row), p.grad_k.row_stride);
  }
  if (p.grad_v.data) {
    finite &=
        write_sums_of_lanes<S, kDim>(w.grad_values, keys, p.shape.value_dim,
                                     row_of(p.grad_v, batch, kv_head, row), p.grad_v.row_stride);
  }
  return finite || !masked;
}

template <class S, class E>
bool narrow_backward(const BackwardProblem<E>& p, int64_t batch, int64_t kv_head,
                     typename S::Scalar* memory) {
  if constexpr (S::kLanes / 2 >= kWidestNarrow) {
    if (larger(p.shape.head_dim, p.shape.value_dim) > 2)
      return narrow_backward_of<S, kWidestNarrow>(p, batch, kv_head, memory);
  }
  return narrow_backward_of<S, 2>(p, batch, kv_head, memory);
}

}  // namespace
}  // namespace headlight::attention
