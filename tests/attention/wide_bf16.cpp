#include "wide.h"

#if defined(__x86_64__)
#include "attention/cpu/forward.inl"
#endif

namespace headlight::attention {

const Kernels<BFloat16>* wide_bf16_kernels() {
#if defined(__x86_64__)
  static constexpr Kernels<BFloat16> kKernels = {.forward =
                                                     forward<Simd<float, 16, 6>, BFloat16, Pair>};
  return &kKernels;
#else
  return nullptr;
#endif
}

}  // namespace headlight::attention
