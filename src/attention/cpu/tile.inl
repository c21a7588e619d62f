// A tile: some queries of one head, one a lane, and what they may attend to. Scores of a tile are
// stored transposed, [keys, queries], so that maximum, sum and rescaling go lane by lane.
#pragma once

#include "attention/cpu/dropout.inl"
#include "attention/cpu/element.inl"
#include "attention/cpu/kernels.h"
#include "attention/cpu/product.inl"
#include "attention/cpu/transpose.inl"

namespace headlight::attention {
namespace {

constexpr int64_t kKeysPerBlock = 128;

// What lengths, causality and window leave: query i sees keys from i + begin to i + end, not
// included, within [0, length).
struct Band {
  int64_t begin;
  int64_t end;
  int64_t length;

  HEADLIGHT_INLINE Span of(int64_t i) const {
    const int64_t last = larger(0, smaller(i + end, length));
    return {smaller(larger(0, i + begin), last), last};
  }
};

// Where query 0 stands among the keys.
template <typename T>
HEADLIGHT_INLINE int64_t query_offset(const AttentionOptions<T>& o, int64_t length,
                                      int64_t queries) {
  if (o.causal == Causal::bottom_right) return length - queries;
  return o.causal == Causal::offset ? o.causal_offset : 0;
}

template <typename T>
HEADLIGHT_INLINE Band band_of(const Problem<T>& p, int64_t batch) {
  constexpr int64_t kFar = int64_t{1} << 42;
  const AttentionOptions<T>& o = p.options;
  const Sequence sequence = sequence_of(p.shape, batch);
  const int64_t length = o.key_lengths ? o.key_lengths[batch] : sequence.keys;
  const int64_t offset = query_offset(o, length, sequence.queries);
  Band band{-kFar, kFar, length};
  if (o.causal != Causal::none) band.end = offset + 1;
  if (o.window_right >= 0) band.end = smaller(band.end, offset + o.window_right + 1);
  if (o.window_left >= 0) band.begin = offset - o.window_left;
  return band;
}

template <class S, int kVecs>
struct Tile {
  using T = typename S::Scalar;
  static constexpr int64_t kLanes = kVecs * S::kLanes;

  int64_t batch, head, kv_head;
  Sequence sequence;
  int64_t first;       // query of the sequence
  int64_t rows;        // of kLanes; the lanes beyond hold nothing
  int64_t offset;      // query i stands at position i + offset among the keys
  Span seen;           // keys that some row may see
  Span shared;         // keys that every row may see, by lengths, causality and window
  int64_t begin, end;  // keys of the first row; the next rows' are one further each
  uint32_t low[kLanes], high[kLanes];  // of the dropout hash
};

template <class S, int kVecs>
HEADLIGHT_INLINE void start_tile(const Problem<typename S::Scalar>& p, int64_t batch, int64_t head,
                                 int64_t first, int64_t rows, Tile<S, kVecs>& t) {
  t.batch = batch;
  t.head = head;
  t.kv_head = head / (p.shape.heads / p.shape.kv_heads);
  t.first = first;
  t.rows = rows;
  t.sequence = sequence_of(p.shape, batch);
  t.offset = query_offset(p.options,
                          p.options.key_lengths ? p.options.key_lengths[batch] : t.sequence.keys,
                          t.sequence.queries);
  const Band band = band_of(p, batch);
  const Span top = band.of(first);
  const Span bottom = band.of(first + rows - 1);
  t.seen = {top.begin, bottom.end};
  t.shared = {bottom.begin, top.end};
  constexpr int64_t kMostKeys = int64_t{1} << 30;
  t.begin = larger(-kMostKeys, smaller(first + band.begin, kMostKeys));
  t.end = larger(-kMostKeys, smaller(first + band.end, kMostKeys));
  if (p.drop_below > 0) {
    const uint64_t head_key = dropout_head_key(p.options.seed, batch, head);
    for (int64_t r = 0; r < t.kLanes; ++r) {
      const uint64_t key = dropout_query_key(head_key, first + r);
      t.low[r] = uint32_t(key);
      t.high[r] = uint32_t(key >> 32);
    }
  }
}

// Calls body(std::integral_constant<int, vectors>, first query, rows) for the tiles of a span of
// queries: two vectors of queries each, one where that is enough.
template <class S, class Body>
HEADLIGHT_INLINE void for_each_tile(Span queries, const Body& body) {
  for (int64_t i = queries.begin; i < queries.end; i += 2 * S::kLanes) {
    const int64_t rows = smaller(2 * S::kLanes, queries.end - i);
    if (rows > S::kLanes) {
      body(std::integral_constant<int, 2>(), i, rows);
    } else {
      body(std::integral_constant<int, 1>(), i, rows);
    }
  }
}

template <typename E>
HEADLIGHT_INLINE E* row_of(const HeadTensor<E>& x, int64_t batch, int64_t head, int64_t row) {
  return x.data + batch * x.batch_stride + head * x.head_stride + row * x.row_stride;
}

// Some keys or values of one KV head, or queries of one head, as numbers that kernels can read:
// where they are, if the tensor holds such numbers, else converted into copy [count, width].
template <class S, class E>
HEADLIGHT_INLINE Rows<const typename S::Scalar> readable_rows(const E* from, int64_t stride,
                                                              int64_t count, int64_t dim,
                                                              typename S::Scalar* copy,
                                                              int64_t width) {
  using T = typename S::Scalar;
  if constexpr (std::is_same_v<E, T>) {
    if (!copy) return {from, stride};
  }
  for (int64_t r = 0; r < count; ++r) {
    T* to = copy + r * width;
    if (width > dim) S::store(to + width - S::kLanes, S::zero());
    convert_row<S>(from + r * stride, dim, to);
  }
  return {copy, width};
}

// copy [count, pairs] = rows [count, dim], an odd last number beside 0.
HEADLIGHT_INLINE Rows<const Pair> copy_as_pairs(const BFloat16* from, int64_t stride, int64_t count,
                                                int64_t dim, Pair* copy) {
  const int64_t width = pairs_of(dim);
  for (int64_t r = 0; r < count; ++r) {
    copy[(r + 1) * width - 1] = {};
    __builtin_memcpy(static_cast<void*>(copy + r * width), from + r * stride,
                     sizeof(BFloat16) * dim);
  }
  return {copy, width};
}

// The same, or the rows where they are, if they lie so that they can be read as pairs.
HEADLIGHT_INLINE Rows<const Pair> readable_pairs(const BFloat16* from, int64_t stride,
                                                 int64_t count, int64_t dim, Pair* copy) {
  if (dim % 2 == 0 && stride % 2 == 0) return {reinterpret_cast<const Pair*>(from), stride / 2};
  return copy_as_pairs(from, stride, count, dim, copy);
}

// Of the keys of a block, the pairs that hold `keys`.
HEADLIGHT_INLINE Span whole_pairs(Span block, Span keys) {
  return {keys.begin - (keys.begin - block.begin) % 2,
          smaller(keys.end + (keys.end - block.begin) % 2, block.end)};
}

// rows [row_count, columns] = source [columns, lanes] transposed, row r times factors[r]. scratch
// [lanes, padded columns] is used on the way to 16 bits.
template <class S, class E>
HEADLIGHT_INLINE void lanes_to_elements(const typename S::Scalar* source, int64_t lanes,
                                        int64_t columns, const typename S::Scalar* factors,
                                        int64_t row_count, E* rows, int64_t row_stride,
                                        typename S::Scalar* scratch) {
  using T = typename S::Scalar;
  if constexpr (std::is_same_v<E, T>) {
    lanes_to_rows<S>(source, lanes, columns, factors, row_count, rows, row_stride);
  } else {
    const int64_t width = round_up(columns, S::kLanes);
    lanes_to_rows<S>(source, lanes, columns, factors, row_count, scratch, width);
    for (int64_t r = 0; r < row_count; ++r) {
      convert_row<S>(scratch + r * width, columns, rows + r * row_stride);
    }
  }
}

}  // namespace
}  // namespace headlight::attention
