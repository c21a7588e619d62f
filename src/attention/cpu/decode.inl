// Decode: few queries against many keys, as in generation with a cache. Vector lanes are columns of
// K and V here, which are streamed once: all queries of all heads that share a KV head are rows of
// one problem. The keys may be shared out in chunks, whose results are then merged by their tops.
#pragma once

#include "attention/cpu/scores.inl"

namespace headlight::attention {
namespace {

// Of a block: its keys and values, and those that come next, have to fit into the nearest cache.
constexpr int64_t kDecodeKeys = 16;

// What a chunk of keys knows about the rows [group, queries] of a KV head. sums [rows, value_dim].
template <typename T>
struct DecodePart {
  T* sums;
  T* top;
  T* total;
};

template <typename T>
HEADLIGHT_INLINE int64_t decode_rows(const Problem<T>& p) {
  return p.shape.heads / p.shape.kv_heads * p.most_queries;
}

// Numbers that a part takes.
template <class S, class E>
int64_t decode_part_size(const ForwardProblem<E>& p) {
  return round_up(decode_rows<typename S::Scalar>(p) * (p.shape.value_dim + 2), 64);
}

template <class S, class E>
HEADLIGHT_INLINE DecodePart<typename S::Scalar> decode_part(const ForwardProblem<E>& p,
                                                            typename S::Scalar* parts, int64_t n) {
  const int64_t rows = decode_rows<typename S::Scalar>(p);
  typename S::Scalar* part = parts + n * decode_part_size<S>(p);
  return {part, part + rows * p.shape.value_dim, part + rows * (p.shape.value_dim + 1)};
}

template <typename T>
struct DecodeScratch {
  T* queries;  // [rows, head_dim], times scale
  T* scores;   // [rows, keys of a block], then weights
  T* live;     // the same size
  T* totals;   // [rows, lanes]: what the total of a row is made of
  int64_t size;
};

template <class S, class E>
DecodeScratch<typename S::Scalar> decode_scratch(const ForwardProblem<E>& p,
                                                 typename S::Scalar* memory) {
  const int64_t rows = decode_rows<typename S::Scalar>(p);
  const int64_t queries = round_up(rows * p.shape.head_dim, 64);
  const int64_t scores = rows * kDecodeKeys;
  DecodeScratch<typename S::Scalar> s;
  s.queries = memory;
  s.scores = s.queries + queries;
  s.live = s.scores + scores;
  s.totals = s.live + scores;
  s.size = queries + 2 * scores + rows * S::kLanes;
  return s;
}

// How many rows are worked on together, beginning with row r: what divides S::kLanes.
template <class S, class Body>
HEADLIGHT_INLINE void for_some_rows(int64_t rows, const Body& body) {
  int64_t r = 0;
  if constexpr (S::kLanes >= 4) {
    for (; r + 4 <= rows; r += 4) body(std::integral_constant<int, 4>(), r);
  }
  for (; r + 2 <= rows; r += 2) body(std::integral_constant<int, 2>(), r);
  if (r < rows) body(std::integral_constant<int, 1>(), r);
}

// Rows that will be read next. While the rows at hand are passed over, once or several times, those
// are asked for line after line, evenly and in the order of memory: the machine leaves out what it
// is asked for in a rush, and follows by itself only where lines follow each other.
template <typename E>
struct Ahead {
  const E* row;
  int64_t stride;
  int64_t lines;       // of a row
  int64_t passes = 0;  // over as many rows as there are here
  int64_t line = 0;
  int64_t due = 0;  // lines times passes

  // A row was passed over.
  HEADLIGHT_INLINE void prefetch() {
    for (due += lines; due >= passes; due -= passes) {
      __builtin_prefetch(reinterpret_cast<const char*>(row) + 64 * line);
      if (++line == lines) {
        line = 0;
        row += stride;
      }
    }
  }
};

template <typename E>
constexpr int64_t lines_of(int64_t dim) {
  return (dim * int64_t(sizeof(E)) + 63) / 64;
}

// scores[r, n] = <queries[r], keys[n]> for kRows rows and kLanes / kRows keys.
template <class S, int kRows, class E>
HEADLIGHT_INLINE void decode_dots(const typename S::Scalar* queries, int64_t dim, const E* keys,
                                  int64_t key_stride, typename S::Scalar* scores) {
  static_assert(S::kLanes % kRows == 0);
  constexpr int kKeys = S::kLanes / kRows;
  typename S::Vec sum[S::kLanes] = {};
  for (int64_t c = 0; c < dim; c += S::kLanes) {
    typename S::Vec query[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) query[r] = S::load(queries + r * dim + c);
#pragma GCC unroll 16
    for (int n = 0; n < kKeys; ++n) {
      const typename S::Vec key = load_elements<S>(keys + n * key_stride + c);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) sum[r * kKeys + n] += query[r] * key;
    }
  }
  typename S::Scalar lanes[S::kLanes];
  S::store(lanes, sums_of_lanes<S>(sum));
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    __builtin_memcpy(scores + r * kDecodeKeys, lanes + r * kKeys, sizeof(lanes[0]) * kKeys);
  }
}

template <class S, class E>
HEADLIGHT_INLINE void decode_scores(const typename S::Scalar* queries, int64_t rows, int64_t dim,
                                    const E* keys, int64_t key_stride, int64_t count,
                                    Ahead<E> ahead, typename S::Scalar* scores) {
  for_some_rows<S>(rows, [&](auto, int64_t) HEADLIGHT_INLINE_LAMBDA { ++ahead.passes; });
  for_some_rows<S>(rows, [&](auto width, int64_t r) HEADLIGHT_INLINE_LAMBDA {
    constexpr int kRows = decltype(width)::value;
    constexpr int64_t kKeys = S::kLanes / kRows;
    int64_t n = 0;
    for (; n + kKeys <= count; n += kKeys) {
      for (int64_t i = 0; i < kKeys; ++i) ahead.prefetch();
      decode_dots<S, kRows>(queries + r * dim, dim, keys + n * key_stride, key_stride,
                            scores + r * kDecodeKeys + n);
    }
    for (; n < count; ++n) {
      for (int i = 0; i < kRows; ++i) {
        typename S::Vec sum = S::zero();
        for (int64_t c = 0; c < dim; c += S::kLanes) {
          sum += S::load(queries + (r + i) * dim + c) * load_elements<S>(keys + n * key_stride + c);
        }
        typename S::Scalar total = 0;
        for (int lane = 0; lane < S::kLanes; ++lane) total += sum[lane];
        scores[(r + i) * kDecodeKeys + n] = total;
      }
    }
  });
}

// sums[r, :] += sum_n weights[r, n] values[n, :], kCols vectors at a time.
template <class S, int kRows, int kCols, class E>
HEADLIGHT_INLINE void decode_values(const typename S::Scalar* weights, const E* values,
                                    int64_t value_stride, int64_t count, Ahead<E>& ahead,
                                    typename S::Scalar* sums, int64_t sums_stride) {
  typename S::Vec sum[kRows][kCols];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kCols; ++c) {
      sum[r][c] = S::load(sums + r * sums_stride + c * S::kLanes);
    }
  }
  for (int64_t n = 0; n < count; ++n) {
    ahead.prefetch();
    typename S::Vec weight[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) weight[r] = S::all(weights[r * kDecodeKeys + n]);
#pragma GCC unroll 8
    for (int c = 0; c < kCols; ++c) {
      const typename S::Vec value = load_elements<S>(values + n * value_stride + c * S::kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) sum[r][c] += weight[r] * value;
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kCols; ++c) {
      S::store(sums + r * sums_stride + c * S::kLanes, sum[r][c]);
    }
  }
}

template <class S, class E>
HEADLIGHT_INLINE void decode_outputs(const typename S::Scalar* weights, int64_t rows,
                                     const E* values, int64_t value_stride, int64_t count,
                                     int64_t dim, Ahead<E> ahead, typename S::Scalar* sums) {
  const auto each_part = [&](const auto& body) HEADLIGHT_INLINE_LAMBDA {
    for_some_rows<S>(rows, [&](auto width, int64_t r) HEADLIGHT_INLINE_LAMBDA {
      constexpr int kCols = 8 / decltype(width)::value;
      int64_t c = 0;
      for (; c + kCols * S::kLanes <= dim; c += kCols * S::kLanes)
        body(width, std::integral_constant<int, kCols>(), r, c);
      for (; c < dim; c += S::kLanes) body(width, std::integral_constant<int, 1>(), r, c);
    });
  };
  each_part([&](auto, auto, int64_t, int64_t) HEADLIGHT_INLINE_LAMBDA { ++ahead.passes; });
  each_part([&](auto width, auto cols, int64_t r, int64_t c) HEADLIGHT_INLINE_LAMBDA {
    decode_values<S, decltype(width)::value, decltype(cols)::value>(
        weights + r * kDecodeKeys, values + c, value_stride, count, ahead, sums + r * dim + c, dim);
  });
}

// The same, leaving out pairs that are masked: their weight is 0, but 0 times NaN is not.
template <class S, class E>
__attribute__((noinline)) void decode_live_outputs(const typename S::Scalar* weights,
                                                   const typename S::Scalar* live, int64_t rows,
                                                   const E* values, int64_t value_stride,
                                                   int64_t count, int64_t dim,
                                                   typename S::Scalar* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < count; ++n) {
      if (live[r * kDecodeKeys + n] == 0) continue;
      const typename S::Vec weight = S::all(weights[r * kDecodeKeys + n]);
      for (int64_t c = 0; c < dim; c += S::kLanes) {
        typename S::Scalar* at = sums + r * dim + c;
        S::store(at, S::load(at) + weight * load_elements<S>(values + n * value_stride + c));
      }
    }
  }
}

// From products to scores for one row, query i of a head, and the keys of a block. Returns whether
// some pair may be masked.
template <class S>
HEADLIGHT_INLINE bool finish_scores(const Problem<typename S::Scalar>& p, int64_t batch,
                                    int64_t head, int64_t i, Span seen, Span keys,
                                    typename S::Scalar* scores) {
  using T = typename S::Scalar;
  const AttentionOptions<T>& o = p.options;
  const int64_t count = keys.end - keys.begin;
  if (o.softcap > 0) {
    const T cap = T(o.softcap);
    for (int64_t n = 0; n < count; n += S::kLanes) {  // a block is whole vectors long
      S::store(scores + n, tanh<S>(S::load(scores + n) * T(1 / o.softcap)) * cap);
    }
  }
  bool masked = false;
  const auto add = [&](const auto& x) HEADLIGHT_INLINE_LAMBDA {
    if (!x.data) return;
    const auto* from = x.data + batch * x.batch_stride + head * x.head_stride + i * x.query_stride +
                       keys.begin * x.key_stride;
    for (int64_t n = 0; n < count; ++n) {
      const T more = as_score<T>(from[n * x.key_stride]);
      scores[n] = more == -kInfinity<T> ? more : scores[n] + more;
    }
    masked = true;
  };
  add(o.bias);
  add(o.mask);
  add(o.allowed);
  if (seen.begin > keys.begin || seen.end < keys.end) {
    for (int64_t n = 0; n < count; ++n) {
      const int64_t j = keys.begin + n;
      if (j < seen.begin || j >= seen.end) scores[n] = -kInfinity<T>;
    }
    masked = true;
  }
  return masked;
}

template <class S, class E>
bool decode_once(const ForwardProblem<E>& p, int64_t batch, int64_t kv_head, Span chunk,
                 const DecodePart<typename S::Scalar>& part,
                 const DecodeScratch<typename S::Scalar>& w, bool careful) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  const AttentionShape& s = p.shape;
  const Sequence sequence = sequence_of(s, batch);
  const Band band = band_of(p, batch);
  const int64_t group = s.heads / s.kv_heads;
  const int64_t rows = group * sequence.queries;
  for (int64_t r = 0; r < rows; ++r) {
    const E* query = row_of(p.q, batch, kv_head * group + r / sequence.queries,
                            sequence.first_query + r % sequence.queries);
    for (int64_t c = 0; c < s.head_dim; c += S::kLanes) {
      S::store(w.queries + r * s.head_dim + c, load_elements<S>(query + c) * p.scale);
    }
    part.top[r] = -kInfinity<T>;
    S::store(w.totals + r * S::kLanes, S::zero());
    for (int64_t c = 0; c < s.value_dim; c += S::kLanes) {
      S::store(part.sums + r * s.value_dim + c, S::zero());
    }
  }
  bool masked = false;
  const Span seen{larger(chunk.begin, band.of(0).begin),
                  smaller(chunk.end, band.of(sequence.queries - 1).end)};
  for (int64_t j = seen.begin; j < seen.end; j += kDecodeKeys) {
    const Span keys{j, smaller(j + kDecodeKeys, seen.end)};
    const int64_t count = keys.end - keys.begin;
    const int64_t row = sequence.first_key + j;
    const E* values = row_of(p.v, batch, kv_head, row);
    decode_scores<S>(w.queries, rows, s.head_dim, row_of(p.k, batch, kv_head, row), p.k.row_stride,
                     count, Ahead<E>{values, p.v.row_stride, lines_of<E>(s.value_dim)}, w.scores);
    int64_t head = kv_head * group;
    int64_t i = 0;
    for (int64_t r = 0; r < rows; ++r) {
      T* scores = w.scores + r * kDecodeKeys;
      for (int64_t n = count; n < kDecodeKeys; ++n) scores[n] = 0;
      masked |= finish_scores<S>(p, batch, head, i, band.of(i), keys, scores);
      for (int64_t n = count; n < kDecodeKeys; ++n) scores[n] = -kInfinity<T>;
      if (careful) mark_live<S>(scores, kDecodeKeys, w.live + r * kDecodeKeys);
      Vec highest = S::all(part.top[r]);
      for (int64_t n = 0; n < kDecodeKeys; n += S::kLanes) {
        highest = S::max(highest, S::load(scores + n));
      }
      Vec total = S::load(w.totals + r * S::kLanes);
      if (S::any(highest > S::all(part.top[r]))) {
        T top = part.top[r];
        for (int lane = 0; lane < S::kLanes; ++lane) {
          if (top < highest[lane]) top = highest[lane];
        }
        const Vec shrink = exp<S>(S::all(part.top[r] - top));
        part.top[r] = top;
        total *= shrink;
        for (int64_t c = 0; c < s.value_dim; c += S::kLanes) {
          T* at = part.sums + r * s.value_dim + c;
          S::store(at, S::load(at) * shrink);
        }
      }
      const T base = part.top[r] == -kInfinity<T> ? T(0) : part.top[r];
      for (int64_t n = 0; n < kDecodeKeys; n += S::kLanes) {
        const Vec weight = exp<S>(S::load(scores + n) - base);
        total += weight;
        S::store(scores + n, weight);
      }
      S::store(w.totals + r * S::kLanes, total);
      if (++i == sequence.queries) {
        i = 0;
        ++head;
      }
    }
    if (careful) {
      decode_live_outputs<S>(w.scores, w.live, rows, values, p.v.row_stride, count, s.value_dim,
                             part.sums);
    } else {
      const int64_t next = smaller(j + kDecodeKeys, larger(seen.end - kDecodeKeys, seen.begin));
      decode_outputs<S>(w.scores, rows, values, p.v.row_stride, count, s.value_dim,
                        Ahead<E>{row_of(p.k, batch, kv_head, sequence.first_key + next),
                                 p.k.row_stride, lines_of<E>(s.head_dim)},
                        part.sums);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    part.total[r] = 0;
    for (int lane = 0; lane < S::kLanes; ++lane) part.total[r] += w.totals[r * S::kLanes + lane];
  }
  return !masked || !any_not_finite<S>(part.sums, rows * s.value_dim);
}

template <class S, class E>
int64_t decode_workspace(const ForwardProblem<E>& p) {
  return decode_scratch<S>(p, static_cast<typename S::Scalar*>(nullptr)).size;
}

// Part `n` of parts: some keys of one KV head.
template <class S, class E>
void decode(const ForwardProblem<E>& p, int64_t batch, int64_t kv_head, Span chunk,
            typename S::Scalar* parts, int64_t n, typename S::Scalar* workspace) {
  if (sequence_of(p.shape, batch).queries == 0) return;
  const DecodeScratch<typename S::Scalar> w = decode_scratch<S>(p, workspace);
  const DecodePart<typename S::Scalar> part = decode_part<S>(p, parts, n);
  if (!decode_once<S>(p, batch, kv_head, chunk, part, w, false)) {
    decode_once<S>(p, batch, kv_head, chunk, part, w, true);
  }
}

// Merges `count` parts of a KV head, from part `n` on, in order; writes out and lse.
template <class S, class E>
void merge_decoded(const ForwardProblem<E>& p, int64_t batch, int64_t kv_head,
                   typename S::Scalar* parts, int64_t n, int64_t count) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  const AttentionShape& s = p.shape;
  const Sequence sequence = sequence_of(s, batch);
  const int64_t group = s.heads / s.kv_heads;
  for (int64_t r = 0; r < group * sequence.queries; ++r) {
    const int64_t head = kv_head * group + r / sequence.queries;
    const int64_t i = r % sequence.queries;
    const T sink = p.options.sinks ? p.options.sinks[head] : -kInfinity<T>;
    T top = sink;
    for (int64_t c = 0; c < count; ++c) {
      const T other = decode_part<S>(p, parts, n + c).top[r];
      if (top < other) top = other;
    }
    const T base = top == -kInfinity<T> ? T(0) : top;
    T total = exp<S>(S::all(sink - base))[0];
    for (int64_t c = 0; c < count; ++c) {
      const DecodePart<T> part = decode_part<S>(p, parts, n + c);
      const T share = exp<S>(S::all(part.top[r] - base))[0];
      total += part.total[r] * share;
      part.top[r] = share;
    }
    const T factor = total == 0 ? T(0) : 1 / total;
    E* out = row_of(p.out, batch, head, sequence.first_query + i);
    for (int64_t c = 0; c < s.value_dim; c += S::kLanes) {
      Vec sum = S::zero();
      for (int64_t k = 0; k < count; ++k) {
        const DecodePart<T> part = decode_part<S>(p, parts, n + k);
        sum += S::load(part.sums + r * s.value_dim + c) * part.top[r];
      }
      store_elements<S>(out + c, sum * factor);
    }
    if (p.lse) {
      p.lse[first_row(s, batch, head) + i] = top + log<S>(S::all(total))[0];
    }
  }
}

}  // namespace
}  // namespace headlight::attention
