// What each key receives: the weights of one head made once more from the scores and the logarithm
// of the denominator, and summed over its queries.
#pragma once

#include "attention/cpu/forward.inl"

namespace headlight::attention {
namespace {

// Writes statistics.received for some keys of one head. Workspace: that of forward().
template <class S, class E>
void received(const ForwardProblem<E>& p, int64_t batch, int64_t head, Span keys,
              typename S::Scalar* workspace) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  ForwardScratch<T> w = forward_scratch<S>(p, workspace);
  ForwardTile<T>& x = w.tiles[0];
  const Sequence sequence = sequence_of(p.shape, batch);
  const int64_t kv_head = head / (p.shape.heads / p.shape.kv_heads);
  T* sums = w.live;  // [keys of a block, lanes]
  for (int64_t j = keys.begin; j < keys.end; j += kKeysPerBlock) {
    const KeyBlock<T> block =
        key_block<S, T>(p, batch, kv_head, {j, smaller(j + kKeysPerBlock, keys.end)}, w);
    for (int64_t e = 0; e < kKeysPerBlock * S::kLanes; ++e) sums[e] = 0;
    for_each_tile<S>(
        {0, sequence.queries}, [&](auto vecs, int64_t first, int64_t rows) HEADLIGHT_INLINE_LAMBDA {
          constexpr int kVecs = decltype(vecs)::value;
          Tile<S, kVecs> t;
          start_tile(p, batch, head, first, rows, t);
          const Span seen{larger(j, t.seen.begin), smaller(block.span.end, t.seen.end)};
          if (seen.begin >= seen.end) return;
          start_forward<T>(p, t, w, x);
          const T* lse = p.key_lse + first_row(p.shape, batch, head) + first;
          for (int64_t r = 0; r < t.kLanes; ++r) {
            x.total[r] = r < rows && lse[r] != -kInfinity<T> ? lse[r] : kInfinity<T>;
          }
          const int64_t count = seen.end - seen.begin;
          const int64_t skipped = seen.begin - j;
          tile_scores<S, kVecs>(p, t, x.queries,
                                {block.keys.data + skipped * block.keys.stride, block.keys.stride},
                                seen.begin, count, w.scores, nullptr, w.scratch);
          for (int64_t n = 0; n < count; ++n) {
            T* at = sums + (skipped + n) * S::kLanes;
            Vec sum = S::load(at);
            for (int v = 0; v < kVecs; ++v) {
              sum += exp<S>(S::load(w.scores + n * t.kLanes + v * S::kLanes) -
                            S::load(x.total + v * S::kLanes));
            }
            S::store(at, sum);
          }
        });
    T* to = p.statistics.received + (p.shape.query_starts
                                         ? head * p.shape.keys + sequence.first_key
                                         : (batch * p.shape.heads + head) * p.shape.keys);
    for (int64_t n = 0; n < block.span.end - j; ++n) {
      T sum = 0;
      for (int64_t r = 0; r < S::kLanes; ++r) sum += sums[n * S::kLanes + r];
      to[j + n] = sum;
    }
  }
}

}  // namespace
}  // namespace headlight::attention
