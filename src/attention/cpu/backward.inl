// Backward in one pass over some keys of one KV head: five products per tile and block,
//   s = k q,  dp = v do,  dq += k ds,  dk += ds q,  dv += p do.
// dk and dv stay here; dq is kept for all queries of a head. Memory is linear in the sequence.
#pragma once

#include "attention/cpu/narrow.inl"

namespace headlight::attention {
namespace {

template <typename T>
struct BackwardScratch {
  PreparedTile<T> tiles;  // of all queries, one tile after the other
  T* grad_queries;        // [tile][head_dim, lanes]
  // Copies of rows that cannot be read in place: of 16 bits, or not whole vectors long. Else null.
  T* query_rows;     // [queries, padded head_dim]
  T* grad_out_rows;  // [queries, padded value_dim]
  // The same, but only of 16 bits.
  T* key_rows;     // [keys of the chunk, padded head_dim]
  T* value_rows;   // [keys of the chunk, padded value_dim]
  T* rows;         // [lanes, padded dim]: on the way from out or to grad_q
  T* grad_keys;    // [keys of the chunk, padded head_dim]
  T* grad_values;  // [keys of the chunk, padded value_dim]
  T* scratch;      // [value_dim, lanes]
  GradientScratch<T> block;
  int64_t size;  // of all of it
};

template <class S, class E>
BackwardScratch<typename S::Scalar> backward_scratch(const BackwardProblem<E>& p, int64_t keys,
                                                     typename S::Scalar* memory) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = 2 * S::kLanes;
  constexpr bool kWidened = !std::is_same_v<E, T>;
  const AttentionShape& shape = p.shape;
  const int64_t queries = round_up(p.most_queries, kLanes);
  const int64_t key_width = round_up(shape.head_dim, S::kLanes);
  const int64_t value_width = round_up(shape.value_dim, S::kLanes);
  BackwardScratch<T> s;
  s.size = 0;
  const auto take = [&](int64_t count) {
    T* result = memory ? memory + s.size : nullptr;
    s.size += round_up(count, 64);
    return result;
  };
  s.tiles.queries = take(queries * shape.head_dim);
  s.tiles.grad_out = take(queries * shape.value_dim);
  s.tiles.lse = take(queries);
  s.tiles.delta = take(queries);
  s.grad_queries = take(queries * shape.head_dim);
  s.query_rows =
      kWidened || key_width != shape.head_dim ? take(p.most_queries * key_width) : nullptr;
  s.grad_out_rows =
      kWidened || value_width != shape.value_dim ? take(p.most_queries * value_width) : nullptr;
  s.key_rows = kWidened ? take(keys * key_width) : nullptr;
  s.value_rows = kWidened ? take(keys * value_width) : nullptr;
  s.rows = kWidened ? take(kLanes * larger(key_width, value_width)) : nullptr;
  s.grad_keys = take(keys * key_width);
  s.grad_values = take(keys * value_width);
  s.scratch = take(shape.value_dim * kLanes);
  s.block.weights = take(kKeysPerBlock * kLanes);
  s.block.grad_scores = take(kKeysPerBlock * kLanes);
  s.block.slope = take(kKeysPerBlock * kLanes);
  s.block.scratch = take(kKeysPerBlock * kLanes);
  s.block.live = take(kKeysPerBlock * kLanes);
  return s;
}

// sum [count, width] += weights^T rows, for the weights [count, lanes] of a tile and the rows of
// its queries. Masked pairs have weight 0; with live they are skipped.
template <class S, int kVecs>
HEADLIGHT_INLINE void add_to_keys(const Tile<S, kVecs>& t, int64_t count,
                                  const typename S::Scalar* weights,
                                  const Rows<const typename S::Scalar>& rows, int64_t width,
                                  const typename S::Scalar* live, typename S::Scalar* sum) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const T* row = rows.data + t.first * rows.stride;
  if (live) {
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t r = 0; r < t.rows; ++r) {
        if (live[j * kLanes + r] == 0) continue;
        for (int64_t c = 0; c < width; ++c) {
          sum[j * width + c] += weights[j * kLanes + r] * row[r * rows.stride + c];
        }
      }
    }
    return;
  }
  int64_t c = 0;
  for (; c + 2 * S::kLanes <= width; c += 2 * S::kLanes) {
    product<S, 2, true, Along::depth>(count, {weights, kLanes}, t.rows, {row + c, rows.stride},
                                      {sum + c, width});
  }
  if (c < width) {
    product<S, 1, true, Along::depth>(count, {weights, kLanes}, t.rows, {row + c, rows.stride},
                                      {sum + c, width});
  }
}

template <class S>
HEADLIGHT_INLINE PreparedTile<typename S::Scalar> tile_of(
    const PreparedTile<typename S::Scalar>& all, const AttentionShape& shape, int64_t first) {
  return {all.queries + first * shape.head_dim, all.grad_out + first * shape.value_dim,
          all.lse + first, all.delta + first};
}

// rows [count, dim] = factor * sum [count, width]; returns whether all of it is finite.
template <class S, class E>
__attribute__((noinline)) bool write_rows(const typename S::Scalar* sum, int64_t width,
                                          int64_t count, int64_t dim, typename S::Scalar factor,
                                          E* rows, int64_t stride) {
  using T = typename S::Scalar;
  typename S::Vec check = S::zero();
  for (int64_t r = 0; r < count; ++r) {
    E* row = rows + r * stride;
    for (int64_t c = 0; c < width; c += S::kLanes) {
      const typename S::Vec value = S::load(sum + r * width + c) * factor;
      check += value * T(0);
      if (c + S::kLanes <= dim) {
        store_elements<S>(row + c, value);
      } else {
        T last[S::kLanes];
        S::store(last, value);
        convert_row<S>(last, dim - c, row + c);
      }
    }
  }
  return !S::any(check != S::zero());
}

// What the sink of a head gets from its queries: ds_sink = -p_sink delta.
template <class S>
HEADLIGHT_INLINE typename S::Scalar sink_gradient(const PreparedTile<typename S::Scalar>& tiles,
                                                  int64_t queries, typename S::Scalar sink) {
  using T = typename S::Scalar;
  T sum = 0;
  for (int64_t i = 0; i < queries; i += S::kLanes) {
    T part[S::kLanes];
    S::store(part, exp<S>(sink - S::load(tiles.lse + i)) * S::load(tiles.delta + i));
    for (int64_t r = 0; r < smaller(S::kLanes, queries - i); ++r) sum -= part[r];
  }
  return sum;
}

// Rows of one head as kernels read them: of all queries, and of the keys of the chunk.
template <typename T>
struct ReadableRows {
  Rows<const T> queries, grad_out, keys, values;
  bool wants_q, wants_k, wants_v;  // which gradients
};

// One tile of queries against one block of keys.
template <class S, int kVecs>
__attribute__((noinline)) bool backward_block(const Problem<typename S::Scalar>& p,
                                              const Tile<S, kVecs>& t, Span keys,
                                              int64_t first_of_chunk,
                                              const BackwardScratch<typename S::Scalar>& w,
                                              const ReadableRows<typename S::Scalar>& x,
                                              bool careful) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const int64_t head_dim = p.shape.head_dim;
  const int64_t key_width = round_up(head_dim, S::kLanes);
  const int64_t value_width = round_up(p.shape.value_dim, S::kLanes);
  const int64_t count = keys.end - keys.begin;
  const GradientScratch<T>& b = w.block;
  const int64_t skipped = keys.begin - first_of_chunk;
  const Rows<const T> key_rows{x.keys.data + skipped * x.keys.stride, x.keys.stride};
  const Rows<const T> value_rows{x.values.data + skipped * x.values.stride, x.values.stride};
  const bool masked = tile_gradients<S, kVecs>(p, t, tile_of<S>(w.tiles, p.shape, t.first),
                                               key_rows, value_rows, keys.begin, count, b, careful);
  if (p.options.softcap > 0) multiply<S>(b.slope, count * kLanes, b.grad_scores);
  const T* live = careful ? b.live : nullptr;
  if (x.wants_q) {
    const Scalars<T> key_columns{key_rows.data, key_rows.stride};
    const Rows<const T> grad_scores{b.grad_scores, kLanes};
    const Rows<T> sums{w.grad_queries + t.first * head_dim, kLanes};
    if (careful) {
      product_of_live<S, kVecs>(head_dim, key_columns, count, grad_scores, live, sums);
    } else {
      product<S, kVecs, true, Along::rows>(head_dim, key_columns, count, grad_scores, sums);
    }
  }
  if (x.wants_k) {
    add_to_keys(t, count, b.grad_scores, x.queries, key_width, live,
                w.grad_keys + skipped * key_width);
  }
  if (x.wants_v) {
    add_to_keys(t, count, b.weights, x.grad_out, value_width, live,
                w.grad_values + skipped * value_width);
  }
  return masked;
}

// Returns false if something is not finite that a masked pair may have made so.
template <class S, class E>
bool backward_once(const BackwardProblem<E>& p, int64_t batch, int64_t kv_head, Span keys,
                   int64_t chunk, const BackwardScratch<typename S::Scalar>& w, bool careful) {
  using T = typename S::Scalar;
  const AttentionShape& shape = p.shape;
  const int64_t key_width = round_up(shape.head_dim, S::kLanes);
  const int64_t value_width = round_up(shape.value_dim, S::kLanes);
  const int64_t count = keys.end - keys.begin;
  for (int64_t e = 0; e < count * key_width; ++e) w.grad_keys[e] = 0;
  for (int64_t e = 0; e < count * value_width; ++e) w.grad_values[e] = 0;
  bool masked = false;
  bool finite = true;
  const Sequence sequence = sequence_of(shape, batch);
  const int64_t key_row = sequence.first_key + keys.begin;
  ReadableRows<T> x;
  x.wants_q = p.grad_q.data;
  x.wants_k = p.grad_k.data;
  x.wants_v = p.grad_v.data;
  x.keys = readable_rows<S>(row_of(p.k, batch, kv_head, key_row), p.k.row_stride, count,
                            shape.head_dim, w.key_rows, key_width);
  x.values = readable_rows<S>(row_of(p.v, batch, kv_head, key_row), p.v.row_stride, count,
                              shape.value_dim, w.value_rows, value_width);
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    x.queries = readable_rows<S>(row_of(p.q, batch, head, sequence.first_query), p.q.row_stride,
                                 sequence.queries, shape.head_dim, w.query_rows, key_width);
    x.grad_out = readable_rows<S>(row_of(p.grad_out, batch, head, sequence.first_query),
                                  p.grad_out.row_stride, sequence.queries, shape.value_dim,
                                  w.grad_out_rows, value_width);
    const Span queries{0, sequence.queries};
    const auto each_tile = [&](const auto& body) HEADLIGHT_INLINE_LAMBDA {
      for_each_tile<S>(queries,
                       [&](auto vecs, int64_t first, int64_t rows) HEADLIGHT_INLINE_LAMBDA {
                         Tile<S, decltype(vecs)::value> t;
                         start_tile(p, batch, head, first, rows, t);
                         body(t);
                       });
    };
    each_tile([&](const auto& t) HEADLIGHT_INLINE_LAMBDA {
      prepare_tile(p, t, {x.queries.data + t.first * x.queries.stride, x.queries.stride},
                   {x.grad_out.data + t.first * x.grad_out.stride, x.grad_out.stride},
                   tile_of<S>(w.tiles, shape, t.first), w.scratch, w.rows);
      T* sums = w.grad_queries + t.first * shape.head_dim;
      for (int64_t e = 0; e < shape.head_dim * t.kLanes; ++e) sums[e] = 0;
    });
    for (int64_t j = keys.begin; j < keys.end; j += kKeysPerBlock) {
      const int64_t end = smaller(j + kKeysPerBlock, keys.end);
      each_tile([&](const auto& t) HEADLIGHT_INLINE_LAMBDA {
        const Span part{larger(j, t.seen.begin), smaller(end, t.seen.end)};
        if (part.begin >= part.end) {
          masked = true;
          return;
        }
        masked |= backward_block<S>(p, t, part, keys.begin, w, x, careful);
      });
    }
    if (p.grad_q.data) {
      each_tile([&](const auto& t) HEADLIGHT_INLINE_LAMBDA {
        const T* sums = w.grad_queries + t.first * shape.head_dim;
        T factors[2 * S::kLanes];
        for (int64_t r = 0; r < 2 * S::kLanes; ++r) factors[r] = p.scale;
        if (p.grad_q_parts) {
          const int64_t row = first_row(shape, batch, head) + t.first;
          lanes_to_rows<S>(sums, t.kLanes, shape.head_dim, factors, t.rows,
                           p.grad_q_parts + (chunk * p.rows + row) * shape.head_dim,
                           shape.head_dim);
        } else {
          lanes_to_elements<S>(sums, t.kLanes, shape.head_dim, factors, t.rows,
                               row_of(p.grad_q, batch, head, sequence.first_query + t.first),
                               p.grad_q.row_stride, w.rows);
        }
        finite = finite && !any_not_finite<S>(sums, shape.head_dim * t.kLanes);
      });
    }
    if (p.grad_sink_parts && keys.begin == 0) {
      p.grad_sink_parts[batch * shape.heads + head] =
          sink_gradient<S>(w.tiles, sequence.queries, p.options.sinks[head]);
    }
  }
  if (p.grad_k.data && count > 0) {
    finite &= write_rows<S>(w.grad_keys, key_width, count, shape.head_dim, p.scale,
                            row_of(p.grad_k, batch, kv_head, key_row), p.grad_k.row_stride);
  }
  if (p.grad_v.data && count > 0) {
    finite &= write_rows<S>(w.grad_values, value_width, count, shape.value_dim, T(1),
                            row_of(p.grad_v, batch, kv_head, key_row), p.grad_v.row_stride);
  }
  return finite || !masked;
}

template <class S, class E>
void sum_parts(const typename S::Scalar* first, int64_t parts_stride, int64_t parts, int64_t count,
               int64_t dim, E* rows, int64_t row_stride) {
  using T = typename S::Scalar;
  for (int64_t i = 0; i < count; ++i) {
    const T* row = first + i * dim;
    for (int64_t d = 0; d < dim; d += S::kLanes) {
      const int64_t width = smaller(S::kLanes, dim - d);
      T sums[S::kLanes];
      for (int64_t c = 0; c < width; ++c) {
        sums[c] = 0;
        for (int64_t part = 0; part < parts; ++part) sums[c] += row[part * parts_stride + d + c];
      }
      convert_row<S>(sums, width, rows + i * row_stride + d);
    }
  }
}

template <class S, class E>
int64_t backward_workspace(const BackwardProblem<E>& p, int64_t keys) {
  const int64_t narrow = is_narrow<S>(p) ? narrow_scratch<S, E>(p.most_keys, nullptr).size : 0;
  return larger(narrow,
                backward_scratch<S>(p, keys, static_cast<typename S::Scalar*>(nullptr)).size);
}

template <class S, class E>
void backward(const BackwardProblem<E>& p, int64_t batch, int64_t kv_head, Span keys, int64_t chunk,
              typename S::Scalar* workspace) {
  const bool whole = keys.begin == 0 && keys.end == sequence_of(p.shape, batch).keys;
  if (is_narrow<S>(p) && whole && !p.grad_q_parts &&
      narrow_backward<S>(p, batch, kv_head, workspace))
    return;
  const BackwardScratch<typename S::Scalar> w =
      backward_scratch<S>(p, keys.end - keys.begin, workspace);
  if (backward_once<S>(p, batch, kv_head, keys, chunk, w, false)) return;
  backward_once<S>(p, batch, kv_head, keys, chunk, w, true);
}

}  // namespace
}  // namespace headlight::attention
