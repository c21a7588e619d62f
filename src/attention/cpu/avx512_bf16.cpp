#include "attention/cpu/forward.inl"

namespace headlight::attention {

const Kernels<BFloat16>* avx512_bf16_kernels() {
  static constexpr Kernels<BFloat16> kKernels = {.forward =
                                                     forward<Simd<float, 16, 12>, BFloat16, Pair>};
  return &kKernels;
}

}  // namespace headlight::attention
