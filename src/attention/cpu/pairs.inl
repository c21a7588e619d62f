// Pairs of BFloat16: what machines with a dot product of 16 bits multiply at once. A lane of the
// result grows by two products, of numbers that lie next to each other along the depth.
#pragma once

#include "attention/cpu/element.inl"

namespace headlight::attention {
namespace {

struct Pair {
  BFloat16 first, second;
};

// A vector of what a product multiplies: numbers, or pairs in words.
template <class S, class A>
using OperandVec =
    std::conditional_t<std::is_same_v<A, Pair>, typename S::WordVec, typename S::Vec>;

template <class S>
HEADLIGHT_INLINE typename S::Vec load_operands(const typename S::Scalar* p) {
  return S::load(p);
}
template <class S>
HEADLIGHT_INLINE typename S::WordVec load_operands(const Pair* p) {
  return reinterpret_cast<typename S::WordVec>(S::load(reinterpret_cast<const float*>(p)));
}

// sum + a b, where b is the same in all lanes.
template <class S>
HEADLIGHT_INLINE typename S::Vec multiply_add(typename S::Vec a, typename S::Scalar b,
                                              typename S::Vec sum) {
  return sum + a * b;
}

// The same of pairs. As the machine's instruction does it: the second product is added first, each
// addition rounds once, and what is smaller than the normal numbers of float counts as 0.
template <class S>
HEADLIGHT_INLINE typename S::Vec multiply_add(typename S::WordVec a, Pair b, typename S::Vec sum) {
  using Words = typename S::WordVec;
  using Vec = typename S::Vec;
  const Words pairs = S::all_words(uint32_t(b.second.bits) << 16 | b.first.bits);
#if defined(__AVX512BF16__)
  if constexpr (S::kLanes == 16) {
    return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                  reinterpret_cast<__m512bh>(a),
                                                  reinterpret_cast<__m512bh>(pairs)));
  }
#endif
  const auto normal = [](Words bits) HEADLIGHT_INLINE_LAMBDA {
    return reinterpret_cast<Vec>((bits & 0x7f800000u) == 0u ? bits & 0x80000000u : bits);
  };
  sum = normal(reinterpret_cast<Words>(sum));
  sum += normal(a & 0xffff0000u) * normal(pairs & 0xffff0000u);
  sum = normal(reinterpret_cast<Words>(sum));
  sum += normal(a << 16) * normal(pairs << 16);
  return normal(reinterpret_cast<Words>(sum));
}

template <class S>
HEADLIGHT_INLINE typename S::Vec multiply_first(typename S::Vec a, typename S::Scalar b) {
  return a * b;
}
template <class S>
HEADLIGHT_INLINE typename S::Vec multiply_first(typename S::WordVec a, Pair b) {
  return multiply_add<S>(a, b, S::zero());
}

// How many pairs hold count numbers.
HEADLIGHT_INLINE int64_t pairs_of(int64_t count) { return (count + 1) / 2; }

// result [pairs of rows, width]: row 2 j beside row 2 j + 1, which counts as 0 beyond the last.
template <class S>
HEADLIGHT_INLINE void interleave_rows(const BFloat16* rows, int64_t stride, int64_t count,
                                      int64_t dim, Pair* result, int64_t width) {
  for (int64_t r = 0; r < count; r += 2) {
    const BFloat16* first = rows + r * stride;
    const BFloat16* second = first + stride;
    const bool alone = r + 1 == count;
    Pair* to = result + r / 2 * width;
    int64_t c = 0;
    for (; c + S::kLanes <= dim; c += S::kLanes) {
      typename S::WordVec words = load_16_bits<S>(first + c);
      if (!alone) words |= load_16_bits<S>(second + c) << 16;
      S::store(reinterpret_cast<float*>(to + c), reinterpret_cast<typename S::Vec>(words));
    }
    for (; c < dim; ++c) to[c] = {first[c], alone ? BFloat16{} : second[c]};
  }
}

// first and second, rounded, lane beside lane.
template <class S, int... kIndex>
HEADLIGHT_INLINE typename S::WordVec rounded_pairs(typename S::Vec first, typename S::Vec second,
                                                   std::integer_sequence<int, kIndex...>) {
#if defined(__AVX512BF16__)
  if constexpr (S::kLanes == 16) {
    typedef uint16_t Shorts __attribute__((vector_size(64)));
    const auto both = reinterpret_cast<Shorts>(
        _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second), reinterpret_cast<__m512>(first)));
    return reinterpret_cast<typename S::WordVec>(
        __builtin_shufflevector(both, both, (kIndex / 2 + kIndex % 2 * S::kLanes)...));
  }
#endif
  return bfloat16_bits<S>(first) | bfloat16_bits<S>(second) << 16;
}

// Numbers [count, lanes] become pairs [pairs of count, lanes] in the same memory: row 2 j beside
// row 2 j + 1, as interleave_rows does it.
template <class S>
__attribute__((noinline)) const Pair* round_to_pairs(float* numbers, int64_t count, int64_t lanes) {
  constexpr std::make_integer_sequence<int, 2 * S::kLanes> kIndices;
  for (int64_t r = 0; r < count; r += 2) {
    for (int64_t c = 0; c < lanes; c += S::kLanes) {
      const float* first = numbers + r * lanes + c;
      const typename S::Vec second = r + 1 < count ? S::load(first + lanes) : S::zero();
      S::store(numbers + r / 2 * lanes + c, reinterpret_cast<typename S::Vec>(rounded_pairs<S>(
                                                S::load(first), second, kIndices)));
    }
  }
  return reinterpret_cast<const Pair*>(numbers);
}

}  // namespace
}  // namespace headlight::attention
