// Vectors of any width, on the compiler's own vector types: +, -, *, comparison and ?: work lane by
// lane, and a width that the machine lacks is lowered to one that it has.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace headlight::attention {
namespace {

#define HEADLIGHT_INLINE inline __attribute__((always_inline))
#define HEADLIGHT_INLINE_LAMBDA __attribute__((always_inline))

constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t round_up(int64_t a, int64_t multiple) {
  return (a + multiple - 1) / multiple * multiple;
}

// kRows: how many rows of a product are kept in registers, two vectors wide.
template <typename T, int kLanes_, int kRows_>
struct Simd {
  using Scalar = T;
  using Int = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  static constexpr int kLanes = kLanes_;
  static constexpr int kRows = kRows_;
  typedef T Vec __attribute__((vector_size(sizeof(T) * kLanes_)));
  typedef Int IntVec __attribute__((vector_size(sizeof(T) * kLanes_)));
  typedef uint32_t WordVec __attribute__((vector_size(4 * kLanes_)));
  typedef uint16_t ShortVec __attribute__((vector_size(2 * kLanes_)));
  typedef uint16_t LooseShorts
      __attribute__((vector_size(2 * kLanes_), aligned(alignof(uint16_t)), may_alias));
  typedef T LooseVec
      __attribute__((vector_size(sizeof(T) * kLanes_), aligned(alignof(T)), may_alias));

  static HEADLIGHT_INLINE Vec load(const T* p) { return *reinterpret_cast<const LooseVec*>(p); }
  static HEADLIGHT_INLINE void store(T* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
  static HEADLIGHT_INLINE Vec all(T x) { return x - Vec{}; }
  static HEADLIGHT_INLINE IntVec all_int(Int x) { return x - IntVec{}; }
  static HEADLIGHT_INLINE WordVec all_words(uint32_t x) { return x - WordVec{}; }
  static HEADLIGHT_INLINE IntVec iota() {
    IntVec result = {};
    for (int i = 0; i < kLanes; ++i) result[i] = i;
    return result;
  }
  static HEADLIGHT_INLINE Vec zero() { return Vec{}; }
  // Keeps a if b is NaN.
  static HEADLIGHT_INLINE Vec max(Vec a, Vec b) { return a < b ? b : a; }
  static HEADLIGHT_INLINE bool any(IntVec mask) {
    Int result = 0;
    for (int i = 0; i < kLanes; ++i) result |= mask[i];
    return result != 0;
  }
};

template <typename T>
constexpr T kInfinity = std::is_same_v<T, float> ? T(__builtin_inff()) : T(__builtin_inf());

// e^x: x = n ln 2 + f with |f| <= ln 2 / 2, and a polynomial for e^f. The first two coefficients
// are exactly 1, so exp(0) is 1. Below the smallest normal number the result is 0; NaN stays NaN.
// Errors: 1 unit in the last place (float), 1.5 (double).
template <class S>
HEADLIGHT_INLINE typename S::Vec exp(typename S::Vec x) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  using IntVec = typename S::IntVec;
  constexpr bool kFloat = sizeof(T) == 4;
  // Adding this leaves n plus the exponent bias in the lowest bits.
  constexpr T kRound = kFloat ? T(12582912 + 127) : T(6755399441055744 + 1023);
  constexpr T kHigh = kFloat ? T(0.693359375) : T(6.93147180369123816490e-01);
  constexpr T kLow = kFloat ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
  constexpr T kSmallest = kFloat ? T(-87.3) : T(-708.3);
  const Vec shifted = x * T(1.4426950408889634074) + kRound;
  const Vec n = shifted - kRound;
  const Vec f = (x - n * kHigh) - n * kLow;
  Vec p;
  if constexpr (kFloat) {
    // In pairs, so that no step waits long for the one before.
    const Vec f2 = f * f;
    const Vec low = f * T(0.16666515) + T(0.49999994);
    const Vec high = f2 * T(0.0013813139) + (f * T(0.00836942) + T(0.041668456));
    p = f2 * (f2 * high + low) + (f + T(1));
  } else {
    // 1 / n!; the first term left out is 4e-18.
    constexpr T kCoefficients[] = {T(1) / T(479001600),
                                   T(1) / T(39916800),
                                   T(1) / T(3628800),
                                   T(1) / T(362880),
                                   T(1) / T(40320),
                                   T(1) / T(5040),
                                   T(1) / T(720),
                                   T(1) / T(120),
                                   T(1) / T(24),
                                   T(1) / T(6),
                                   T(1) / T(2),
                                   T(1),
                                   T(1)};
    p = S::all(T(1) / T(6227020800));
#pragma GCC unroll 13
    for (int k = 0; k < 13; ++k) p = p * f + kCoefficients[k];
  }
  const IntVec power = reinterpret_cast<IntVec>(shifted) << (kFloat ? 23 : 52);
  return x < S::all(kSmallest) ? S::zero() : p * reinterpret_cast<Vec>(power);
}

// ln x for x = 0 or x in the normal range: x = 2^n m with m near 1, and the series of
// 2 artanh((m - 1) / (m + 1)).
template <class S>
HEADLIGHT_INLINE typename S::Vec log(typename S::Vec x) {
  using T = typename S::Scalar;
  using Int = typename S::Int;
  using Vec = typename S::Vec;
  using IntVec = typename S::IntVec;
  constexpr bool kFloat = sizeof(T) == 4;
  constexpr int kMantissa = kFloat ? 23 : 52;
  constexpr Int kHalfRoot = kFloat ? Int(0x3f3504f3) : Int(0x3fe6a09e667f3bcd);
  constexpr T kHigh = kFloat ? T(0.693359375) : T(6.93147180369123816490e-01);
  constexpr T kLow = kFloat ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
  const IntVec bits = reinterpret_cast<IntVec>(x);
  const IntVec n = (bits - kHalfRoot) >> kMantissa;
  const Vec m = reinterpret_cast<Vec>(bits - (n << kMantissa));
  const Vec exponent = __builtin_convertvector(n, Vec);
  const Vec s = (m - T(1)) / (m + T(1));
  const Vec s2 = s * s;
  Vec series = S::all(kFloat ? T(2.0 / 11) : T(2.0 / 23));
  for (int k = kFloat ? 9 : 21; k >= 3; k -= 2) series = series * s2 + T(2.0 / k);
  const Vec f = s * T(2) + s * s2 * series;
  const Vec result = exponent * kHigh + (exponent * kLow + f);
  const Vec zero_or_more = x == S::zero() ? S::all(-kInfinity<T>) : result;
  const Vec finite = x == S::all(kInfinity<T>) ? x : zero_or_more;
  return x == x ? finite : x;
}

// tanh x: a continued fraction near 0 (exact to the last places there), else by exp.
template <class S>
HEADLIGHT_INLINE typename S::Vec tanh(typename S::Vec x) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  const Vec size = x < S::zero() ? -x : x;
  const Vec capped = size > S::all(T(20)) ? S::all(T(20)) : size;
  const Vec far = T(1) - T(2) / (exp<S>(capped + capped) + T(1));
  const Vec y = x * x;
  const Vec near = x * (((y + T(378)) * y + T(17325)) * y + T(135135)) /
                   (((y * T(28) + T(3150)) * y + T(62370)) * y + T(135135));
  return size < S::all(T(0.5)) ? near : (x < S::zero() ? -far : far);
}

}  // namespace
}  // namespace headlight::attention
