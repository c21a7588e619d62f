// Fills the table of one instruction set. kRows: see Simd.
#pragma once

#include "attention/cpu/bias_gradient.inl"
#include "attention/cpu/decode.inl"
#include "attention/cpu/received.inl"

namespace headlight::attention {
namespace {

template <class S, class E>
constexpr Kernels<E> kernels() {
  return {S::kLanes,
          2 * S::kLanes,
          forward_workspace<S, E>,
          forward<S, E>,
          received<S, E>,
          decode_workspace<S, E>,
          decode_part_size<S, E>,
          decode<S, E>,
          merge_decoded<S, E>,
          backward_workspace<S, E>,
          backward<S, E>,
          sum_parts<S, E>,
          add_bias_gradient<S, E>};
}

template <int kBytes, int kRows>
constexpr KernelTable kernel_table(const char* name) {
  using Single = Simd<float, kBytes / 4, kRows>;
  using Double = Simd<double, kBytes / 8, kRows>;
  return {name, kernels<Single, float>(), kernels<Double, double>(), kernels<Single, BFloat16>(),
          kernels<Single, Float16>()};
}

}  // namespace
}  // namespace headlight::attention
