// Statistics of rows, out of the forward pass: sums that grow with the online softmax, and scores
// of single keys that are kept until the denominator is known.
#pragma once

#include "attention/cpu/scores.inl"

namespace headlight::attention {
namespace {

// Of the rows of one tile; [lanes] each.
template <typename T>
struct RowSums {
  // Sums of weight times: score - top; distance; being near. Scores of: key 0, the key at the
  // query's position, before it, after it; the best one, and its key.
  enum Which { score, distance, local, first, self, previous, next, best, best_key, kCount };
  T* memory = nullptr;
};

template <class S, int kVecs>
HEADLIGHT_INLINE typename S::Scalar* lanes_of(const RowSums<typename S::Scalar>& x, int which,
                                              int v) {
  return x.memory + (which * kVecs + v) * S::kLanes;
}

template <class S, int kVecs>
HEADLIGHT_INLINE void start_row_sums(const RowSums<typename S::Scalar>& x) {
  using T = typename S::Scalar;
  for (int which = 0; which < RowSums<T>::kCount; ++which) {
    const bool is_score = which >= RowSums<T>::first && which <= RowSums<T>::best;
    for (int v = 0; v < kVecs; ++v) {
      S::store(lanes_of<S, kVecs>(x, which, v), S::all(is_score ? -kInfinity<T> : T(0)));
    }
  }
}

// exp(-kFar) is 0; scores further away than that count as so far, because 0 times infinity is NaN.
template <typename T>
constexpr T kFar = sizeof(T) == 4 ? T(200) : T(800);

// The top rose by -step: what was relative to the old one becomes relative to the new one.
template <class S, int kVecs>
HEADLIGHT_INLINE void shrink_row_sums(const RowSums<typename S::Scalar>& x, int v,
                                      typename S::Vec total, typename S::Vec step,
                                      typename S::Vec shrink) {
  using Row = RowSums<typename S::Scalar>;
  const typename S::Vec near = S::max(step, S::all(-kFar<typename S::Scalar>));
  const auto change = [&](int which, auto how) HEADLIGHT_INLINE_LAMBDA {
    auto* at = lanes_of<S, kVecs>(x, which, v);
    S::store(at, how(S::load(at)) * shrink);
  };
  change(Row::score, [&](auto sum) { return sum + near * total; });
  change(Row::distance, [&](auto sum) { return sum; });
  change(Row::local, [&](auto sum) { return sum; });
}

// Scores of single keys of this block.
template <class S, int kVecs>
HEADLIGHT_INLINE void keep_scores(const Tile<S, kVecs>& t, Span keys,
                                  const typename S::Scalar* scores,
                                  const RowSums<typename S::Scalar>& x) {
  using Row = RowSums<typename S::Scalar>;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const auto keep = [&](int which, int64_t key, int64_t r) HEADLIGHT_INLINE_LAMBDA {
    if (key < keys.begin || key >= keys.end) return;
    x.memory[which * kLanes + r] = scores[(key - keys.begin) * kLanes + r];
  };
  const int64_t position = t.first + t.offset;
  const bool near = position + t.rows >= keys.begin && position - 1 < keys.end;
  for (int64_t r = 0; r < t.rows && (near || keys.begin == 0); ++r) {
    keep(Row::first, 0, r);
    keep(Row::self, position + r, r);
    keep(Row::previous, position + r - 1, r);
    keep(Row::next, position + r + 1, r);
  }
}

// Turns the scores of a block into weights, like the plain loop of the forward pass, and adds up
// what they tell about their rows.
template <class S, int kVecs>
__attribute__((noinline)) void add_row_sums(const Problem<typename S::Scalar>& p,
                                            const Tile<S, kVecs>& t, Span keys,
                                            typename S::Scalar* scores, const typename S::Vec* base,
                                            typename S::Vec* total,
                                            const RowSums<typename S::Scalar>& x) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  using IntVec = typename S::IntVec;
  using Row = RowSums<T>;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  keep_scores(t, keys, scores, x);
  const Vec window = S::all(T(p.local_window));
  for (int v = 0; v < kVecs; ++v) {
    const auto at = [&](int which)
                        HEADLIGHT_INLINE_LAMBDA { return lanes_of<S, kVecs>(x, which, v); };
    Vec score_sum = S::load(at(Row::score));
    Vec distance_sum = S::load(at(Row::distance));
    Vec local_sum = S::load(at(Row::local));
    Vec best = S::load(at(Row::best));
    IntVec best_key = reinterpret_cast<IntVec>(S::load(at(Row::best_key)));
    Vec sum = total[v];
    T offsets[S::kLanes];
    for (int64_t r = 0; r < S::kLanes; ++r) {
      offsets[r] = T(keys.begin - (t.first + v * S::kLanes + r + t.offset));
    }
    Vec offset = S::load(offsets);  // key - position
    for (int64_t j = keys.begin; j < keys.end; ++j) {
      T* weight_at = scores + (j - keys.begin) * kLanes + v * S::kLanes;
      const Vec score = S::load(weight_at);
      const IntVec better = best < score;
      best = better ? score : best;
      best_key = better ? S::all_int(typename S::Int(j)) : best_key;
      const Vec relative = score - base[v];
      const Vec weight = exp<S>(relative);
      const Vec distance = offset < S::zero() ? -offset : offset;
      sum += weight;
      score_sum += weight * (relative < S::all(-kFar<T>) ? S::all(-kFar<T>) : relative);
      distance_sum += weight * distance;
      local_sum += distance <= window ? weight : S::zero();
      offset += T(1);
      S::store(weight_at, weight);
    }
    S::store(at(Row::score), score_sum);
    S::store(at(Row::distance), distance_sum);
    S::store(at(Row::local), local_sum);
    S::store(at(Row::best), best);
    S::store(at(Row::best_key), reinterpret_cast<Vec>(best_key));
    total[v] = sum;
  }
}

// row: of the tile's first query in the results.
template <class S, int kVecs>
HEADLIGHT_INLINE void write_row_statistics(const AttentionStatistics<typename S::Scalar>& to,
                                           const Tile<S, kVecs>& t,
                                           const RowSums<typename S::Scalar>& x,
                                           const typename S::Scalar* totals,
                                           const typename S::Scalar* tops,
                                           const typename S::Scalar* sink_shares, int64_t row) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  using Row = RowSums<T>;
  for (int v = 0; v < kVecs; ++v) {
    const Vec total = S::load(totals + v * S::kLanes);
    const Vec top = S::load(tops + v * S::kLanes);
    const Vec base = top == S::all(-kInfinity<T>) ? S::zero() : top;
    const int64_t rows = smaller(S::kLanes, t.rows - v * S::kLanes);
    const auto write = [&](T* result, Vec value) HEADLIGHT_INLINE_LAMBDA {
      if (!result) return;
      T lanes[S::kLanes];
      S::store(lanes, total == S::zero() ? S::zero() : value);
      for (int64_t r = 0; r < rows; ++r) result[row + v * S::kLanes + r] = lanes[r];
    };
    const auto sum = [&](int which) HEADLIGHT_INLINE_LAMBDA {
      return S::load(lanes_of<S, kVecs>(x, which, v)) / total;
    };
    const auto weight = [&](int which) HEADLIGHT_INLINE_LAMBDA {
      return exp<S>(S::load(lanes_of<S, kVecs>(x, which, v)) - base) / total;
    };
    write(to.entropy, log<S>(total) - sum(Row::score));
    write(to.distance, sum(Row::distance));
    write(to.local, sum(Row::local));
    write(to.first, weight(Row::first));
    write(to.self, weight(Row::self));
    write(to.previous, weight(Row::previous));
    write(to.next, weight(Row::next));
    write(to.top, weight(Row::best));
    if (to.sink) {
      for (int64_t r = 0; r < rows; ++r) {
        to.sink[row + v * S::kLanes + r] = sink_shares[v * S::kLanes + r];
      }
    }
    if (to.top_key) {
      T keys[S::kLanes];
      S::store(keys, S::load(lanes_of<S, kVecs>(x, Row::best_key, v)));
      for (int64_t r = 0; r < rows; ++r) {
        typename S::Int key;
        __builtin_memcpy(&key, keys + r, sizeof key);
        to.top_key[row + v * S::kLanes + r] = totals[v * S::kLanes + r] == 0 ? -1 : key;
      }
    }
  }
}

}  // namespace
}  // namespace headlight::attention
