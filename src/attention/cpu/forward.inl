// Forward: online softmax over blocks of keys. Where there are several blocks, some tiles of
// queries take turns on each, so that a block is fetched (and widened, if it has 16 bits) only once
// for all of them.
//
// A is what products multiply: numbers, or pairs of BFloat16 on machines that have such products.
// Pairs lie in the memory of the numbers, which take twice as much.
#pragma once

#include "attention/cpu/statistics.inl"

namespace headlight::attention {
namespace {

constexpr int64_t kTilesPerGroup = 8;

// What a tile carries from block to block.
template <typename T>
struct ForwardTile {
  T* queries;  // [head_dim, lanes]
  T* sums;     // [value_dim, lanes]: the output before normalisation
  T* top;      // [lanes]: the largest score so far, a sink's among them
  T* total;    // [lanes]: sum of exp(score - top)
  RowSums<T> row_sums;
  bool masked;
  bool empty;  // nothing in sums yet
};

template <typename T>
struct ForwardScratch {
  ForwardTile<T> tiles[kTilesPerGroup];
  T* scores;     // [keys of a block, lanes], then weights
  T* scratch;    // the same size
  T* live;       // the same size
  T* keys;       // [keys of a block, padded head_dim], null if they are read in place
  T* values;     // [keys of a block, padded value_dim], the same
  T* rows;       // [lanes, padded dim] on the way from or to 16 bits, the same
  int64_t size;  // of all of it
};

// The rows of one block of keys. With pairs: keys [keys, pairs of head_dim], values [pairs of keys,
// value_dim].
template <typename A>
struct KeyBlock {
  Span span;
  Rows<const A> keys, values;
};

template <class S, class E>
ForwardScratch<typename S::Scalar> forward_scratch(const ForwardProblem<E>& p,
                                                   typename S::Scalar* memory) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = 2 * S::kLanes;
  const int64_t key_width = round_up(p.shape.head_dim, S::kLanes);
  const int64_t value_width = round_up(p.shape.value_dim, S::kLanes);
  ForwardScratch<T> s;
  s.size = 0;
  const auto take = [&](int64_t count) {
    T* result = memory ? memory + s.size : nullptr;
    s.size += round_up(count, 64);
    return result;
  };
  s.scores = take(kKeysPerBlock * kLanes);
  s.scratch = take(kKeysPerBlock * kLanes);
  s.live = take(kKeysPerBlock * kLanes);
  const bool widened = !std::is_same_v<E, T>;
  s.keys = widened ? take(kKeysPerBlock * key_width) : nullptr;
  s.values = widened ? take(kKeysPerBlock * value_width) : nullptr;
  s.rows = widened ? take(kLanes * larger(key_width, value_width)) : nullptr;
  for (ForwardTile<T>& tile : s.tiles) {
    tile.queries = take(p.shape.head_dim * kLanes);
    tile.sums = take(p.shape.value_dim * kLanes);
    tile.top = take(kLanes);
    tile.total = take(kLanes);
    tile.row_sums.memory = p.with_statistics ? take(RowSums<T>::kCount * kLanes) : nullptr;
  }
  return s;
}

// Dropout after the sum, so that the denominator holds every weight. 1 / (1 - rate) comes later.
template <class S, int kVecs>
HEADLIGHT_INLINE void drop_weights(const Tile<S, kVecs>& t, uint32_t drop_below, int64_t first_key,
                                   int64_t count, typename S::Scalar* weights) {
  for (int64_t j = 0; j < count; ++j) {
    for (int v = 0; v < kVecs; ++v) {
      typename S::Scalar* at = weights + j * Tile<S, kVecs>::kLanes + v * S::kLanes;
      const typename S::IntVec keep = dropout_keeps<S>(
          t.low + v * S::kLanes, t.high + v * S::kLanes, first_key + j, drop_below);
      S::store(at, keep ? S::load(at) : S::zero());
    }
  }
}

template <class S, class A, class E>
HEADLIGHT_INLINE KeyBlock<A> key_block(const ForwardProblem<E>& p, int64_t batch, int64_t kv_head,
                                       Span span, const ForwardScratch<typename S::Scalar>& w) {
  const int64_t row = sequence_of(p.shape, batch).first_key + span.begin;
  const int64_t count = span.end - span.begin;
  const int64_t value_width = round_up(p.shape.value_dim, S::kLanes);
  const E* const keys = row_of(p.k, batch, kv_head, row);
  const E* const values = row_of(p.v, batch, kv_head, row);
  if constexpr (std::is_same_v<A, Pair>) {
    auto* const rows = reinterpret_cast<Pair*>(w.values);
    interleave_rows<S>(values, p.v.row_stride, count, p.shape.value_dim, rows, value_width);
    return {span,
            readable_pairs(keys, p.k.row_stride, count, p.shape.head_dim,
                           reinterpret_cast<Pair*>(w.keys)),
            {rows, value_width}};
  } else {
    return {
        span,
        readable_rows<S>(keys, p.k.row_stride, count, p.shape.head_dim, w.keys,
                         round_up(p.shape.head_dim, S::kLanes)),
        readable_rows<S>(values, p.v.row_stride, count, p.shape.value_dim, w.values, value_width)};
  }
}

template <class A, class S, int kVecs, class E>
HEADLIGHT_INLINE void start_forward(const ForwardProblem<E>& p, const Tile<S, kVecs>& t,
                                    const ForwardScratch<typename S::Scalar>& w,
                                    ForwardTile<typename S::Scalar>& x) {
  using T = typename S::Scalar;
  const E* const from = row_of(p.q, t.batch, t.head, t.sequence.first_query + t.first);
  if constexpr (std::is_same_v<A, Pair>) {
    using Words = Simd<uint32_t, S::kLanes, 1>;
    const Rows<const Pair> rows = copy_as_pairs(from, p.q.row_stride, t.rows, p.shape.head_dim,
                                                reinterpret_cast<Pair*>(w.rows));
    rows_to_lanes<Words>(reinterpret_cast<const uint32_t*>(rows.data), rows.stride, t.rows,
                         t.kLanes, rows.stride, 1, reinterpret_cast<uint32_t*>(x.queries));
  } else {
    const Rows<const T> rows = readable_rows<S>(from, p.q.row_stride, t.rows, p.shape.head_dim,
                                                w.rows, round_up(p.shape.head_dim, S::kLanes));
    rows_to_lanes<S>(rows.data, rows.stride, t.rows, t.kLanes, p.shape.head_dim, p.scale,
                     x.queries);
  }
  const T sink = p.options.sinks ? p.options.sinks[t.head] : -kInfinity<T>;
  for (int v = 0; v < kVecs; ++v) {
    S::store(x.top + v * S::kLanes, S::all(sink));
    S::store(x.total + v * S::kLanes, S::zero());
  }
  if (p.with_statistics) start_row_sums<S, kVecs>(x.row_sums);
  x.masked = false;
  x.empty = true;
}

// Takes in the keys of `block` that are in `keys`.
template <class S, int kVecs, class A>
__attribute__((noinline)) void forward_block(const Problem<typename S::Scalar>& p,
                                             const Tile<S, kVecs>& t, const KeyBlock<A>& block,
                                             Span keys, const ForwardScratch<typename S::Scalar>& w,
                                             ForwardTile<typename S::Scalar>& x, bool careful) {
  using T = typename S::Scalar;
  constexpr bool kPairs = std::is_same_v<A, Pair>;
  // A neighbour that no query of the tile sees comes along, masked: its values are in the pair.
  if constexpr (kPairs) keys = whole_pairs(block.span, keys);
  using Vec = typename S::Vec;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const int64_t value_dim = p.shape.value_dim;
  const int64_t count = keys.end - keys.begin;
  const int64_t skipped = keys.begin - block.span.begin;
  T* const scores = w.scores;
  x.masked |=
      tile_scores<S, kVecs>(p, t, reinterpret_cast<const A*>(x.queries),
                            {block.keys.data + skipped * block.keys.stride, block.keys.stride},
                            keys.begin, count, scores, nullptr, w.scratch);
  if (careful) mark_live<S>(scores, count * kLanes, w.live);

  Vec top[kVecs], highest[kVecs], total[kVecs];
  for (int v = 0; v < kVecs; ++v) {
    highest[v] = top[v] = S::load(x.top + v * S::kLanes);
    total[v] = S::load(x.total + v * S::kLanes);
  }
  for (int64_t e = 0; e < count * kLanes; e += kLanes) {
    for (int v = 0; v < kVecs; ++v) {
      highest[v] = S::max(highest[v], S::load(scores + e + v * S::kLanes));
    }
  }
  bool rose = false;
  Vec base[kVecs];  // what is subtracted: the maximum, or 0 while there is none
  for (int v = 0; v < kVecs; ++v) {
    rose |= S::any(top[v] < highest[v]);
    base[v] = highest[v] == S::all(-kInfinity<T>) ? S::zero() : highest[v];
  }
  if (rose) {
    for (int v = 0; v < kVecs; ++v) {
      const Vec shrink = exp<S>(top[v] - base[v]);
      if (p.with_statistics) {
        shrink_row_sums<S, kVecs>(x.row_sums, v, total[v], top[v] - base[v], shrink);
      }
      total[v] *= shrink;
      S::store(x.top + v * S::kLanes, highest[v]);
      for (int64_t c = 0; c < value_dim && !x.empty; ++c) {
        T* at = x.sums + c * kLanes + v * S::kLanes;
        S::store(at, S::load(at) * shrink);
      }
    }
  }
  if (p.with_statistics) {
    add_row_sums<S, kVecs>(p, t, keys, scores, base, total, x.row_sums);
  } else {
    for (int64_t e = 0; e < count * kLanes; e += kLanes) {
      for (int v = 0; v < kVecs; ++v) {
        T* at = scores + e + v * S::kLanes;
        const Vec weight = exp<S>(S::load(at) - base[v]);
        total[v] += weight;
        S::store(at, weight);
      }
    }
  }
  for (int v = 0; v < kVecs; ++v) S::store(x.total + v * S::kLanes, total[v]);
  if (p.drop_below > 0) drop_weights<S, kVecs>(t, p.drop_below, keys.begin, count, scores);

  // The denominator has the weights before they are rounded to pairs: lse stays exact, and the
  // rounding has no direction that it could miss.
  if constexpr (kPairs) round_to_pairs<S>(scores, count, kLanes);
  const int64_t depth = kPairs ? pairs_of(count) : count;
  const int64_t row = kPairs ? skipped / 2 : skipped;
  const Scalars<A> values{block.values.data + row * block.values.stride, block.values.stride};
  const Rows<const A> weights{reinterpret_cast<const A*>(scores), kLanes};
  const Rows<T> sums{x.sums, kLanes};
  if (careful) {
    if constexpr (!kPairs) {
      for (int64_t e = 0; e < value_dim * kLanes && x.empty; ++e) x.sums[e] = 0;
      product_of_live<S, kVecs>(value_dim, values, count, weights, w.live, sums);
    }
  } else if (x.empty) {
    product<S, kVecs, false, Along::rows, A>(value_dim, values, depth, weights, sums);
  } else {
    product<S, kVecs, true, Along::rows, A>(value_dim, values, depth, weights, sums);
  }
  x.empty = false;
}

// Writes the tile. Returns false, and writes nothing, if a zero weight of a masked key may have met
// a NaN or infinity in its value: then all of it has to be done again, with care.
template <class S, int kVecs, class E>
__attribute__((noinline)) bool finish_forward(const ForwardProblem<E>& p, const Tile<S, kVecs>& t,
                                              const ForwardScratch<typename S::Scalar>& w,
                                              const ForwardTile<typename S::Scalar>& x,
                                              bool careful) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const int64_t value_dim = p.shape.value_dim;
  for (int64_t e = 0; e < value_dim * kLanes && x.empty; ++e) x.sums[e] = 0;
  if (x.masked && !careful && any_not_finite<S>(x.sums, value_dim * kLanes)) return false;
  const Vec sink = S::all(p.options.sinks ? p.options.sinks[t.head] : -kInfinity<T>);
  T factor[kLanes], lse[kLanes], key_lse[kLanes], sink_share[kLanes];
  for (int v = 0; v < kVecs; ++v) {
    const Vec total = S::load(x.total + v * S::kLanes);
    const Vec top = S::load(x.top + v * S::kLanes);
    // Nothing but -infinity so far: 0 is what weights were relative to.
    const Vec base = top == S::all(-kInfinity<T>) ? S::zero() : top;
    const Vec of_sink = exp<S>(sink - base);
    const Vec whole = total + of_sink;
    S::store(factor + v * S::kLanes, whole == S::zero() ? S::zero() : p.keep_scale / whole);
    S::store(lse + v * S::kLanes, top + log<S>(whole));
    S::store(key_lse + v * S::kLanes, top + log<S>(total));
    S::store(sink_share + v * S::kLanes, whole == S::zero() ? S::zero() : of_sink / whole);
  }
  const int64_t out_row = t.sequence.first_query + t.first;
  lanes_to_elements<S>(x.sums, kLanes, value_dim, factor, t.rows,
                       row_of(p.out, t.batch, t.head, out_row), p.out.row_stride, w.rows);
  const int64_t row = first_row(p.shape, t.batch, t.head) + t.first;
  for (int64_t r = 0; r < t.rows; ++r) {
    if (p.lse) p.lse[row + r] = lse[r];
    if (p.key_lse) p.key_lse[row + r] = key_lse[r];
  }
  if (p.with_statistics)
    write_row_statistics<S, kVecs>(p.statistics, t, x.row_sums, x.total, x.top, sink_share, row);
  return true;
}

// One tile alone and with care, from the first block on. Blocks of 16 bits are widened for it.
template <class S, int kVecs, class E>
HEADLIGHT_INLINE void forward_with_care(const ForwardProblem<E>& p, const Tile<S, kVecs>& t,
                                        const ForwardScratch<typename S::Scalar>& w,
                                        ForwardTile<typename S::Scalar>& x) {
  using T = typename S::Scalar;
  start_forward<T>(p, t, w, x);
  for (int64_t j = t.seen.begin; j < t.seen.end; j += kKeysPerBlock) {
    const Span keys{j, smaller(j + kKeysPerBlock, t.seen.end)};
    forward_block<S>(p, t, key_block<S, T>(p, t.batch, t.kv_head, keys, w), keys, w, x, true);
  }
  finish_forward(p, t, w, x, true);
}

template <class S, class E>
int64_t forward_workspace(const ForwardProblem<E>& p) {
  return forward_scratch<S>(p, static_cast<typename S::Scalar*>(nullptr)).size;
}

template <class S, class E, class A = typename S::Scalar>
void forward(const ForwardProblem<E>& p, int64_t batch, int64_t head, Span queries,
             typename S::Scalar* workspace) {
  using T = typename S::Scalar;
  ForwardScratch<T> w = forward_scratch<S>(p, workspace);
  const int64_t kv_head = head / (p.shape.heads / p.shape.kv_heads);
  constexpr int64_t kGroup = 2 * S::kLanes * kTilesPerGroup;
  const Band band = band_of(p, batch);
  for (int64_t i = queries.begin; i < queries.end; i += kGroup) {
    const Span part{i, smaller(i + kGroup, queries.end)};
    const auto each_tile = [&](const auto& body) HEADLIGHT_INLINE_LAMBDA {
      for_each_tile<S>(part, [&](auto vecs, int64_t first, int64_t rows) HEADLIGHT_INLINE_LAMBDA {
        Tile<S, decltype(vecs)::value> t;
        start_tile(p, batch, head, first, rows, t);
        body(t, w.tiles[(first - part.begin) / (2 * S::kLanes)]);
      });
    };
    const Span seen{band.of(part.begin).begin, band.of(part.end - 1).end};
    if (seen.end - seen.begin <= kKeysPerBlock) {
      // One block: a tile is finished before the next one starts.
      const KeyBlock<A> block = key_block<S, A>(p, batch, kv_head, seen, w);
      each_tile([&](const auto& t, ForwardTile<T>& x) HEADLIGHT_INLINE_LAMBDA {
        start_forward<A>(p, t, w, x);
        if (t.seen.begin < t.seen.end) forward_block<S>(p, t, block, t.seen, w, x, false);
        if (!finish_forward(p, t, w, x, false)) {
          forward_with_care(p, t, w, x);
          if (w.keys) key_block<S, A>(p, batch, kv_head, seen, w);
        }
      });
      continue;
    }
    each_tile([&](const auto& t, ForwardTile<T>& x)
                  HEADLIGHT_INLINE_LAMBDA { start_forward<A>(p, t, w, x); });
    for (int64_t j = seen.begin; j < seen.end; j += kKeysPerBlock) {
      const KeyBlock<A> block =
          key_block<S, A>(p, batch, kv_head, {j, smaller(j + kKeysPerBlock, seen.end)}, w);
      each_tile([&](const auto& t, ForwardTile<T>& x) HEADLIGHT_INLINE_LAMBDA {
        const Span keys{larger(j, t.seen.begin), smaller(block.span.end, t.seen.end)};
        if (keys.begin < keys.end) forward_block<S>(p, t, block, keys, w, x, false);
      });
    }
    each_tile([&](const auto& t, ForwardTile<T>& x) HEADLIGHT_INLINE_LAMBDA {
      if (!finish_forward(p, t, w, x, false)) forward_with_care(p, t, w, x);
    });
  }
}

}  // namespace
}  // namespace headlight::attention
