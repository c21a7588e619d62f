// From the products <q, k> of a tile to its scores: softcap, bias and masks. Minus infinity is
// what marks a pair of query and key that does not exist.
#pragma once

#include "attention/cpu/tile.inl"

namespace headlight::attention {
namespace {

template <typename T>
HEADLIGHT_INLINE T as_score(T x) {
  return x;
}
template <typename T>
HEADLIGHT_INLINE T as_score(bool allowed) {
  return allowed ? T(0) : -kInfinity<T>;
}

// result [count, lanes] = the part of x for keys first_key.. and the queries of the tile.
template <class S, int kVecs, class U>
HEADLIGHT_INLINE void gather_scores(const ScoreTensor<const U>& x, const Tile<S, kVecs>& t,
                                    int64_t first_key, int64_t count, typename S::Scalar* result) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const U* from = x.data + t.batch * x.batch_stride + t.head * x.head_stride +
                  t.first * x.query_stride + first_key * x.key_stride;
  if (x.query_stride == 0) {
    for (int64_t j = 0; j < count; ++j) {
      const T value = as_score<T>(from[j * x.key_stride]);
      for (int v = 0; v < kVecs; ++v) {
        S::store(result + j * kLanes + v * S::kLanes, S::all(value));
      }
    }
    return;
  }
  if constexpr (std::is_same_v<T, U>) {
    if (x.key_stride == 1) {
      rows_to_lanes<S>(from, x.query_stride, t.rows, kLanes, count, T(1), result);
      return;
    }
  }
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t r = 0; r < kLanes; ++r) {
      result[j * kLanes + r] =
          r < t.rows ? as_score<T>(from[j * x.key_stride + r * x.query_stride]) : T(0);
    }
  }
}

// scores += x, except that a minus infinity in x wins over anything.
template <class S>
HEADLIGHT_INLINE void add_scores(const typename S::Scalar* x, int64_t count,
                                 typename S::Scalar* scores) {
  using T = typename S::Scalar;
  for (int64_t e = 0; e < count; e += S::kLanes) {
    const typename S::Vec add = S::load(x + e);
    S::store(scores + e, add == S::all(-kInfinity<T>) ? add : S::load(scores + e) + add);
  }
}

template <class S, int kVecs>
HEADLIGHT_INLINE void limit_keys(const Tile<S, kVecs>& t, int64_t first_key, Span keys,
                                 typename S::Scalar* scores) {
  using T = typename S::Scalar;
  using Int = typename S::Int;
  for (int v = 0; v < kVecs; ++v) {
    const typename S::IntVec row = S::iota() + Int(v * S::kLanes);
    for (int64_t j = keys.begin; j < keys.end; ++j) {
      T* at = scores + (j - first_key) * Tile<S, kVecs>::kLanes + v * S::kLanes;
      const auto seen = (row <= S::all_int(Int(j - t.begin))) & (row > S::all_int(Int(j - t.end)));
      S::store(at, seen ? S::load(at) : S::all(-kInfinity<T>));
    }
  }
}

// Scores of the tile for the keys first_key .. first_key + count, whose rows are `keys`, from its
// transposed queries (scale included, unless they are pairs). slope, if not null and there is a
// softcap, gets its derivative. scratch holds one tile. Returns whether some pair may be masked.
template <class S, int kVecs, class A>
__attribute__((noinline)) bool tile_scores(const Problem<typename S::Scalar>& p,
                                           const Tile<S, kVecs>& t, const A* queries,
                                           Rows<const A> keys, int64_t first_key, int64_t count,
                                           typename S::Scalar* scores, typename S::Scalar* slope,
                                           typename S::Scalar* scratch) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const AttentionOptions<T>& o = p.options;
  const int64_t depth = std::is_same_v<A, Pair> ? pairs_of(p.shape.head_dim) : p.shape.head_dim;
  product<S, kVecs, false, Along::depth, A>(count, {keys.data, keys.stride}, depth,
                                            {queries, kLanes}, {scores, kLanes}, p.scale);
  if (o.softcap > 0) {
    const T cap = T(o.softcap);
    const T inverse = T(1 / o.softcap);
    for (int64_t e = 0; e < count * kLanes; e += S::kLanes) {
      const typename S::Vec capped = tanh<S>(S::load(scores + e) * inverse);
      S::store(scores + e, capped * cap);
      if (slope) S::store(slope + e, T(1) - capped * capped);
    }
  }
  bool masked = false;
  const auto add = [&](const auto& x) HEADLIGHT_INLINE_LAMBDA {
    if (!x.data) return;
    gather_scores<S, kVecs>(x, t, first_key, count, scratch);
    add_scores<S>(scratch, count * kLanes, scores);
    masked = true;
  };
  add(o.bias);
  add(o.mask);
  add(o.allowed);
  const int64_t end = first_key + count;
  if (first_key < t.shared.begin || end > t.shared.end) {
    const int64_t left = smaller(t.shared.begin, end);
    const int64_t right = larger(t.shared.end, larger(left, first_key));
    limit_keys(t, first_key, {first_key, left}, scores);
    limit_keys(t, first_key, {right, end}, scores);
    masked = true;
  }
  return masked;
}

// live = 1 where a pair exists, 0 where it is masked.
template <class S>
HEADLIGHT_INLINE void mark_live(const typename S::Scalar* scores, int64_t count,
                                typename S::Scalar* live) {
  using T = typename S::Scalar;
  for (int64_t e = 0; e < count; e += S::kLanes) {
    S::store(live + e, S::load(scores + e) == S::all(-kInfinity<T>) ? S::zero() : S::all(T(1)));
  }
}

// product<S, kVecs, true, Along::rows> for queries in lanes that skips masked pairs instead of
// multiplying by their zero weight, which would let a NaN through. Slow; only for tiles where that
// happened.
template <class S, int kVecs>
__attribute__((noinline)) void product_of_live(int64_t rows, Scalars<typename S::Scalar> a,
                                               int64_t depth,
                                               const Rows<const typename S::Scalar>& b,
                                               const typename S::Scalar* live,
                                               Rows<typename S::Scalar> c) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int v = 0; v < kVecs; ++v) {
      const int64_t at = k * b.stride + v * S::kLanes;
      const typename S::Vec weight = S::load(b.data + at);
      const typename S::IntVec is_live = S::load(live + at) != S::zero();
      for (int64_t m = 0; m < rows; ++m) {
        typename S::Scalar* sum = c.data + m * c.stride + v * S::kLanes;
        const typename S::Vec term = weight * a.data[m + k * a.stride];
        S::store(sum, S::load(sum) + (is_live ? term : S::zero()));
      }
    }
  }
}

// Whether any of count numbers is NaN or infinite. count is a multiple of S::kLanes.
template <class S>
HEADLIGHT_INLINE bool any_not_finite(const typename S::Scalar* x, int64_t count) {
  typename S::Vec sum = S::zero();
  for (int64_t e = 0; e < count; e += S::kLanes) sum += S::load(x + e) * typename S::Scalar(0);
  return S::any(sum != S::zero());
}

}  // namespace
}  // namespace headlight::attention
