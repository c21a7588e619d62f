// What every part of the backward pass needs: for a tile of queries and a block of keys, the
// weights p and the gradients of the scores ds, made again from the logarithm of the denominator.
//   p = exp(s - lse),  ds = p (<grad_out, v> - delta),  delta = <grad_out, out>
#pragma once

#include "attention/cpu/scores.inl"

namespace headlight::attention {
namespace {

// One tile of queries, ready for any block of keys; everything transposed.
template <typename T>
struct PreparedTile {
  T* queries;   // [head_dim, lanes], times scale
  T* grad_out;  // [value_dim, lanes]
  T* lse;       // [lanes]; +infinity where nothing was attended to, so that exp gives 0
  T* delta;     // [lanes]
};

// [keys of a block, lanes] each.
template <typename T>
struct GradientScratch {
  T* weights;
  T* grad_scores;
  T* slope;  // of the softcap
  T* scratch;
  T* live;
};

// delta. Whole vectors of columns are multiplied row by row, and only the sums of the rows are
// transposed; the remaining columns go lane by lane.
template <class S, int kVecs>
HEADLIGHT_INLINE void delta_of_rows(const Tile<S, kVecs>& t, int64_t value_dim,
                                    const Rows<const typename S::Scalar>& out,
                                    const Rows<const typename S::Scalar>& grad_out,
                                    const PreparedTile<typename S::Scalar>& to,
                                    typename S::Scalar* scratch /* [value_dim, lanes] */) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const int64_t whole = value_dim / S::kLanes * S::kLanes;
  const int64_t rest = value_dim - whole;
  if (rest > 0) {
    rows_to_lanes<S>(out.data + whole, out.stride, t.rows, kLanes, rest, T(1), scratch);
  }
  for (int v = 0; v < kVecs; ++v) {
    typename S::Vec sum = S::zero();
    if (whole > 0) {
      typename S::Vec row_sums[S::kLanes];
      for (int64_t i = 0; i < S::kLanes; ++i) {
        const int64_t r = v * S::kLanes + i;
        typename S::Vec row_sum = S::zero();
        for (int64_t c = 0; r < t.rows && c < whole; c += S::kLanes) {
          row_sum += S::load(out.data + r * out.stride + c) *
                     S::load(grad_out.data + r * grad_out.stride + c);
        }
        row_sums[i] = row_sum;
      }
      sum = sums_of_lanes<S>(row_sums);
    }
    for (int64_t c = 0; c < rest; ++c) {
      sum += S::load(to.grad_out + (whole + c) * kLanes + v * S::kLanes) *
             S::load(scratch + c * kLanes + v * S::kLanes);
    }
    S::store(to.delta + v * S::kLanes, sum);
  }
}

// queries and grad_out are the rows of the tile; out_copy [lanes, padded value_dim] is where its
// outputs are widened, null if they are read in place.
template <class S, int kVecs, class E>
HEADLIGHT_INLINE void prepare_tile(const BackwardProblem<E>& p, const Tile<S, kVecs>& t,
                                   const Rows<const typename S::Scalar>& queries,
                                   const Rows<const typename S::Scalar>& grad_out,
                                   const PreparedTile<typename S::Scalar>& to,
                                   typename S::Scalar* scratch /* [value_dim, lanes] */,
                                   typename S::Scalar* out_copy) {
  using T = typename S::Scalar;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const int64_t value_dim = p.shape.value_dim;
  rows_to_lanes<S>(queries.data, queries.stride, t.rows, kLanes, p.shape.head_dim, p.scale,
                   to.queries);
  rows_to_lanes<S>(grad_out.data, grad_out.stride, t.rows, kLanes, value_dim, T(1), to.grad_out);
  const Rows<const T> out = readable_rows<S>(
      row_of(p.out, t.batch, t.head, t.sequence.first_query + t.first), p.out.row_stride, t.rows,
      value_dim, out_copy, round_up(value_dim, S::kLanes));
  delta_of_rows<S, kVecs>(t, value_dim, out, grad_out, to, scratch);
  const T* lse = p.lse + first_row(p.shape, t.batch, t.head) + t.first;
  for (int64_t r = 0; r < kLanes; ++r) {
    to.lse[r] = r < t.rows && lse[r] != -kInfinity<T> ? lse[r] : kInfinity<T>;
  }
}

// Fills w.weights (after dropout) and w.grad_scores (before the slope of the softcap, which is in
// w.slope if there is one). Returns whether some pair may be masked.
template <class S, int kVecs>
__attribute__((noinline)) bool tile_gradients(
    const Problem<typename S::Scalar>& p, const Tile<S, kVecs>& t,
    const PreparedTile<typename S::Scalar>& x, const Rows<const typename S::Scalar>& keys,
    const Rows<const typename S::Scalar>& values, int64_t first_key, int64_t count,
    const GradientScratch<typename S::Scalar>& w, bool careful) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  constexpr int64_t kLanes = Tile<S, kVecs>::kLanes;
  const bool masked =
      tile_scores<S, kVecs>(p, t, x.queries, keys, first_key, count, w.weights, w.slope, w.scratch);
  if (careful) mark_live<S>(w.weights, count * kLanes, w.live);
  product<S, kVecs, false, Along::depth>(count, {values.data, values.stride}, p.shape.value_dim,
                                         {x.grad_out, kLanes}, {w.grad_scores, kLanes});
  Vec lse[kVecs];
  Vec delta[kVecs];
  for (int v = 0; v < kVecs; ++v) {
    lse[v] = S::load(x.lse + v * S::kLanes);
    delta[v] = S::load(x.delta + v * S::kLanes);
  }
  const auto each = [&](auto with_masks, auto with_dropout) HEADLIGHT_INLINE_LAMBDA {
    for (int64_t j = 0; j < count; ++j) {
      for (int v = 0; v < kVecs; ++v) {
        T* weight_at = w.weights + j * kLanes + v * S::kLanes;
        T* gradient_at = w.grad_scores + j * kLanes + v * S::kLanes;
        const Vec score = S::load(weight_at);
        Vec weight = exp<S>(score - lse[v]);
        Vec gradient = S::load(gradient_at);
        if constexpr (with_dropout) {
          const typename S::IntVec keep = dropout_keeps<S>(
              t.low + v * S::kLanes, t.high + v * S::kLanes, first_key + j, p.drop_below);
          gradient = keep ? gradient * p.keep_scale : S::zero();
          gradient = weight * (gradient - delta[v]);
          weight = keep ? weight * p.keep_scale : S::zero();
        } else {
          gradient = weight * (gradient - delta[v]);
        }
        if constexpr (with_masks) {
          const typename S::IntVec gone = score == S::all(-kInfinity<T>);
          weight = gone ? S::zero() : weight;
          gradient = gone ? S::zero() : gradient;
        }
        S::store(weight_at, weight);
        S::store(gradient_at, gradient);
      }
    }
  };
  constexpr std::true_type kYes;
  constexpr std::false_type kNo;
  if (p.drop_below > 0) {
    each(kYes, kYes);
  } else if (masked) {
    each(kYes, kNo);
  } else {
    each(kNo, kNo);
  }
  return masked;
}

template <class S>
HEADLIGHT_INLINE void multiply(const typename S::Scalar* by, int64_t count, typename S::Scalar* x) {
  for (int64_t e = 0; e < count; e += S::kLanes) {
    S::store(x + e, S::load(x + e) * S::load(by + e));
  }
}

}  // namespace
}  // namespace headlight::attention
