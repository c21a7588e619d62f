// Tensors of 16 bits: into float and back, a vector at a time. Rounding is to the nearest, ties to
// even; NaN stays NaN. A tensor of what is calculated in passes through unchanged.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "attention/cpu/simd.inl"
#include "headlight/attention.h"

namespace headlight::attention {
namespace {

template <class S>
HEADLIGHT_INLINE typename S::WordVec load_16_bits(const void* p) {
#if defined(__AVX2__)
  // The compiler would make two halves and join them.
  if constexpr (S::kLanes == 8) {
    return reinterpret_cast<typename S::WordVec>(
        _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
#endif
#if defined(__AVX512F__)
  if constexpr (S::kLanes == 16) {
    return reinterpret_cast<typename S::WordVec>(
        _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256(static_cast<const __m256i*>(p))));
  }
#endif
  return __builtin_convertvector(*static_cast<const typename S::LooseShorts*>(p),
                                 typename S::WordVec);
}

template <class S>
HEADLIGHT_INLINE void store_16_bits(typename S::WordVec x, void* p) {
  *static_cast<typename S::LooseShorts*>(p) = __builtin_convertvector(x, typename S::ShortVec);
}

// A vector of T from as many elements.
template <class S, class E>
HEADLIGHT_INLINE typename S::Vec load_elements(const E* p) {
  using T = typename S::Scalar;
  using Vec = typename S::Vec;
  if constexpr (std::is_same_v<E, T>) {
    return S::load(p);
  } else {
    static_assert(sizeof(T) == 4);
    using Words = typename S::WordVec;
    if constexpr (std::is_same_v<E, BFloat16>) {
      return reinterpret_cast<Vec>(load_16_bits<S>(p) << 16);
    } else {
#if defined(__F16C__)
      if constexpr (S::kLanes == 8) {
        return reinterpret_cast<Vec>(
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
      }
#endif
#if defined(__AVX512F__)
      if constexpr (S::kLanes == 16) {
        return reinterpret_cast<Vec>(
            _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
      }
#endif
      // Exponent and mantissa moved to their place in a float are 2^112 too small.
      const Words bits = load_16_bits<S>(p);
      const Vec value = reinterpret_cast<Vec>((bits & 0x7fffu) << 13) * T(0x1p112f);
      const Words special = reinterpret_cast<Words>(value >= S::all(T(65536))) & 0x7f800000u;
      return reinterpret_cast<Vec>(reinterpret_cast<Words>(value) | special |
                                   ((bits & 0x8000u) << 16));
    }
  }
}

// x as BFloat16, in the lower half of each word.
template <class S>
HEADLIGHT_INLINE typename S::WordVec bfloat16_bits(typename S::Vec x) {
  const auto bits = reinterpret_cast<typename S::WordVec>(x);
  const auto rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return x == x ? rounded : (bits >> 16) | 0x40u;
}

template <class S, class E>
HEADLIGHT_INLINE void store_elements(E* p, typename S::Vec x) {
  using T = typename S::Scalar;
  if constexpr (std::is_same_v<E, T>) {
    S::store(p, x);
  } else {
    static_assert(sizeof(T) == 4);
    using Words = typename S::WordVec;
    if constexpr (std::is_same_v<E, BFloat16>) {
      store_16_bits<S>(bfloat16_bits<S>(x), p);
    } else {
#if defined(__F16C__)
      if constexpr (S::kLanes == 8) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm256_cvtps_ph(reinterpret_cast<__m256>(x), _MM_FROUND_TO_NEAREST_INT));
        return;
      }
#endif
#if defined(__AVX512F__)
      if constexpr (S::kLanes == 16) {
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(p),
            _mm512_maskz_cvtps_ph(0xffff, reinterpret_cast<__m512>(x), _MM_FROUND_TO_NEAREST_INT));
        return;
      }
#endif
      const Words bits = reinterpret_cast<Words>(x);
      const Words size = bits & 0x7fffffffu;
      // Adding 0.5 puts the last bit of a subnormal half at the last bit of the float.
      const Words subnormal =
          reinterpret_cast<Words>(reinterpret_cast<typename S::Vec>(size) + T(0.5)) - 0x3f000000u;
      const Words normal = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;
      const Words special =
          size > S::all_words(0x7f800000u) ? S::all_words(0x7e00u) : S::all_words(0x7c00u);
      const Words finite = size < S::all_words(0x38800000u) ? subnormal : normal;
      store_16_bits<S>(
          (size >= S::all_words(0x47800000u) ? special : finite) | ((bits >> 16) & 0x8000u), p);
    }
  }
}

// to [count] = from; nothing beyond count is touched.
template <class S, class From, class To>
HEADLIGHT_INLINE void convert_row(const From* from, int64_t count, To* to) {
  int64_t c = 0;
  for (; c + S::kLanes <= count; c += S::kLanes) {
    store_elements<S>(to + c, load_elements<S>(from + c));
  }
  if (c == count) return;
  From last_from[S::kLanes] = {};
  To last_to[S::kLanes];
  for (int64_t i = 0; i < count - c; ++i) last_from[i] = from[c + i];
  store_elements<S>(last_to, load_elements<S>(last_from));
  for (int64_t i = 0; i < count - c; ++i) to[c + i] = last_to[i];
}

}  // namespace
}  // namespace headlight::attention
