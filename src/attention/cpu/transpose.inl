// Rows of a tensor into vector lanes and back.
#pragma once

#include "attention/cpu/simd.inl"

namespace headlight::attention {
namespace {

// Two rows of blocks [a0 a1; b0 b1] of kBlock columns become [a0 b0] and [a1 b1].
template <class S, int kBlock, int... kIndex>
HEADLIGHT_INLINE void exchange(typename S::Vec& a, typename S::Vec& b,
                               std::integer_sequence<int, kIndex...>) {
  const typename S::Vec low = __builtin_shufflevector(
      a, b, ((kIndex / kBlock) % 2 == 0 ? kIndex : kIndex - kBlock + S::kLanes)...);
  const typename S::Vec high = __builtin_shufflevector(
      a, b, ((kIndex / kBlock) % 2 == 0 ? kIndex + kBlock : kIndex + S::kLanes)...);
  a = low;
  b = high;
}

template <class S, int kBlock>
HEADLIGHT_INLINE void transpose_square(typename S::Vec (&x)[S::kLanes]) {
  if constexpr (kBlock > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < S::kLanes; ++i) {
      if ((i & kBlock) == 0) {
        exchange<S, kBlock>(x[i], x[i + kBlock], std::make_integer_sequence<int, S::kLanes>());
      }
    }
    transpose_square<S, kBlock / 2>(x);
  }
}

template <class S, int kCount>
HEADLIGHT_INLINE void fold_lanes(typename S::Vec (&x)[S::kLanes]) {
  if constexpr (kCount > 1) {
#pragma GCC unroll 16
    for (int i = 0; i < kCount / 2; ++i) {
      exchange<S, kCount / 2>(x[i], x[i + kCount / 2],
                              std::make_integer_sequence<int, S::kLanes>());
      x[i] += x[i + kCount / 2];
    }
    fold_lanes<S, kCount / 2>(x);
  }
}

// Lane i of the result is the sum over the lanes of x[i]; x is used up.
template <class S>
HEADLIGHT_INLINE typename S::Vec sums_of_lanes(typename S::Vec (&x)[S::kLanes]) {
  fold_lanes<S, S::kLanes>(x);
  return x[0];
}

// The columns [first, columns) of `rows` rows, in squares of kWidth columns, then narrower ones.
template <typename T, int kWidth>
HEADLIGHT_INLINE void rows_to_lanes_from(int64_t first, const T* rows, int64_t row_stride,
                                         int64_t row_count, int64_t lanes, int64_t columns,
                                         T factor, T* result) {
  if constexpr (kWidth == 1) {
    for (int64_t c = first; c < columns; ++c) {
      for (int64_t r = 0; r < row_count; ++r)
        result[c * lanes + r] = rows[r * row_stride + c] * factor;
      for (int64_t r = row_count; r < lanes; ++r) result[c * lanes + r] = 0;
    }
  } else {
    using S = Simd<T, kWidth, 1>;
    const int64_t end = first + (columns - first) / kWidth * kWidth;
    // Columns innermost: rows are read in the order of memory.
    for (int64_t r = 0; r < lanes; r += kWidth) {
      for (int64_t c = first; c < end; c += kWidth) {
        typename S::Vec x[kWidth];
        if (r + kWidth <= row_count) {
#pragma GCC unroll 16
          for (int i = 0; i < kWidth; ++i) x[i] = S::load(rows + (r + i) * row_stride + c) * factor;
        } else {
          for (int i = 0; i < kWidth; ++i) {
            x[i] =
                r + i < row_count ? S::load(rows + (r + i) * row_stride + c) * factor : S::zero();
          }
        }
        transpose_square<S, kWidth / 2>(x);
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i) S::store(result + (c + i) * lanes + r, x[i]);
      }
    }
    if (end < columns) {
      rows_to_lanes_from<T, kWidth / 2>(end, rows, row_stride, row_count, lanes, columns, factor,
                                        result);
    }
  }
}

// result [columns, lanes] = factor * rows [row_count, columns] transposed; the lanes beyond
// row_count are 0. lanes is a multiple of S::kLanes.
template <class S>
__attribute__((noinline)) void rows_to_lanes(const typename S::Scalar* rows, int64_t row_stride,
                                             int64_t row_count, int64_t lanes, int64_t columns,
                                             typename S::Scalar factor,
                                             typename S::Scalar* result) {
  rows_to_lanes_from<typename S::Scalar, S::kLanes>(0, rows, row_stride, row_count, lanes, columns,
                                                    factor, result);
}

template <typename T, int kWidth>
HEADLIGHT_INLINE void lanes_to_rows_from(int64_t first, const T* source, int64_t lanes,
                                         int64_t columns, const T* factors, int64_t row_count,
                                         T* rows, int64_t row_stride) {
  if constexpr (kWidth == 1) {
    for (int64_t c = first; c < columns; ++c) {
      for (int64_t r = 0; r < row_count; ++r) {
        rows[r * row_stride + c] = source[c * lanes + r] * factors[r];
      }
    }
  } else {
    using S = Simd<T, kWidth, 1>;
    const int64_t end = first + (columns - first) / kWidth * kWidth;
    for (int64_t r = 0; r < row_count; r += kWidth) {
      const typename S::Vec factor = S::load(factors + r);
      for (int64_t c = first; c < end; c += kWidth) {
        typename S::Vec x[kWidth];
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i) x[i] = S::load(source + (c + i) * lanes + r) * factor;
        transpose_square<S, kWidth / 2>(x);
        if (r + kWidth <= row_count) {
#pragma GCC unroll 16
          for (int i = 0; i < kWidth; ++i) S::store(rows + (r + i) * row_stride + c, x[i]);
        } else {
          for (int i = 0; r + i < row_count; ++i) S::store(rows + (r + i) * row_stride + c, x[i]);
        }
      }
    }
    if (end < columns) {
      lanes_to_rows_from<T, kWidth / 2>(end, source, lanes, columns, factors, row_count, rows,
                                        row_stride);
    }
  }
}

// rows [row_count, columns] = source [columns, lanes] transposed, row r times factors[r].
template <class S>
__attribute__((noinline)) void lanes_to_rows(const typename S::Scalar* source, int64_t lanes,
                                             int64_t columns, const typename S::Scalar* factors,
                                             int64_t row_count, typename S::Scalar* rows,
                                             int64_t row_stride) {
  lanes_to_rows_from<typename S::Scalar, S::kLanes>(0, source, lanes, columns, factors, row_count,
                                                    rows, row_stride);
}

}  // namespace
}  // namespace headlight::attention
