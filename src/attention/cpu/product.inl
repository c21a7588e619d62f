// The one product that forward and backward are made of, kept in registers:
//   c[m, :] (+)= sum_k a[m, k] * b[k, :]
// a is read in place, one scalar at a time: keys by values of K or V, or a tile of weights. b and c
// are rows of vector lanes. With operands that are pairs, k goes over pairs.
#pragma once

#include "attention/cpu/pairs.inl"

namespace headlight::attention {
namespace {

// Along which dimension the scalars of a lie next to each other; `stride` leads along the other.
enum class Along { depth, rows };

template <typename T>
struct Scalars {
  const T* data;
  int64_t stride;
};

template <typename T>
struct Rows {
  T* data;
  int64_t stride;
};

// A product of pairs that starts a sum is times `factor` at its end; others have theirs in b.
template <class S, int kRowCount, int kVecs, bool kAdd, Along kAlong, class A>
HEADLIGHT_INLINE void product_block(const Scalars<A>& a, int64_t depth, const Rows<const A>& b,
                                    const Rows<typename S::Scalar>& c, typename S::Scalar factor) {
  typename S::Vec sum[kRowCount][kVecs];
#pragma GCC unroll 32
  for (int m = 0; m < kRowCount; ++m) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      sum[m][v] = kAdd ? S::load(c.data + m * c.stride + v * S::kLanes) : S::zero();
    }
  }
  const A* a_column = a.data;
  const A* b_row = b.data;
  for (int64_t k = 0; k < depth; ++k) {
    // Rows of V lie too far apart for the machine to see them coming.
    if (kAlong == Along::rows) __builtin_prefetch(a_column + 8 * a.stride + kRowCount);
    OperandVec<S, A> row[kVecs];
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) row[v] = load_operands<S>(b_row + v * S::kLanes);
#pragma GCC unroll 32
    for (int m = 0; m < kRowCount; ++m) {
      const A scalar = kAlong == Along::depth ? a_column[m * a.stride] : a_column[m];
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) sum[m][v] = multiply_add<S>(row[v], scalar, sum[m][v]);
    }
    a_column += kAlong == Along::depth ? 1 : a.stride;
    b_row += b.stride;
  }
#pragma GCC unroll 32
  for (int m = 0; m < kRowCount; ++m) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      if constexpr (std::is_same_v<A, Pair> && !kAdd) sum[m][v] *= factor;
      S::store(c.data + m * c.stride + v * S::kLanes, sum[m][v]);
    }
  }
}

// The same for very small depth: all of b stays in registers, and rows come one at a time.
template <class S, int kDepth, int kVecs, class A>
HEADLIGHT_INLINE void narrow_product(int64_t rows, const Scalars<A>& a, const Rows<const A>& b,
                                     const Rows<typename S::Scalar>& c, typename S::Scalar factor) {
  OperandVec<S, A> row[kDepth][kVecs];
#pragma GCC unroll 4
  for (int k = 0; k < kDepth; ++k) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      row[k][v] = load_operands<S>(b.data + k * b.stride + v * S::kLanes);
    }
  }
  for (int64_t m = 0; m < rows; ++m) {
    const A* scalars = a.data + m * a.stride;
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      typename S::Vec sum = multiply_first<S>(row[0][v], scalars[0]);
#pragma GCC unroll 4
      for (int k = 1; k < kDepth; ++k) sum = multiply_add<S>(row[k][v], scalars[k], sum);
      if constexpr (std::is_same_v<A, Pair>) sum *= factor;
      S::store(c.data + m * c.stride + v * S::kLanes, sum);
    }
  }
}

// kVecs vectors of columns, any number of rows. The order of the sum over k does not depend on how
// the rows are cut into blocks. A function of its own: inlined, its pointers would be spilled.
template <class S, int kVecs, bool kAdd, Along kAlong, class A = typename S::Scalar>
__attribute__((noinline)) void product(int64_t rows, Scalars<A> a, int64_t depth, Rows<const A> b,
                                       Rows<typename S::Scalar> c, typename S::Scalar factor = 1) {
  if constexpr (kAlong == Along::depth && !kAdd) {
    if (depth == 2) return narrow_product<S, 2, kVecs>(rows, a, b, c, factor);
    if (depth == 4) return narrow_product<S, 4, kVecs>(rows, a, b, c, factor);
  }
  // With one vector of columns there is room for more rows; but scalars from rows that lie apart
  // need a pointer each, and there are 16 of those.
  constexpr int kMost = static_cast<int>(
      smaller(kVecs == 2 ? S::kRows : 2 * S::kRows, kAlong == Along::depth ? 8 : 12));
  const auto step = [&](auto count) HEADLIGHT_INLINE_LAMBDA {
    product_block<S, decltype(count)::value, kVecs, kAdd, kAlong>(a, depth, b, c, factor);
    a.data += count * (kAlong == Along::depth ? a.stride : 1);
    c.data += count * c.stride;
    rows -= count;
  };
  // Two blocks of 4 beat one of 6 and one of 2, which would wait for itself.
  while (rows >= kMost && !(kMost == 6 && rows == 8)) step(std::integral_constant<int, kMost>());
  if constexpr (kMost > 8) {
    if (rows >= 8) step(std::integral_constant<int, 8>());
  }
  while (rows >= 4) step(std::integral_constant<int, 4>());
  if (rows >= 2) step(std::integral_constant<int, 2>());
  if (rows >= 1) step(std::integral_constant<int, 1>());
}

}  // namespace
}  // namespace headlight::attention
