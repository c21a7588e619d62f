// Stands in for avx2.cpp, avx512.cpp and avx512_bf16.cpp on other machines.
#include "attention/cpu/kernels.h"

namespace headlight::attention {

const KernelTable* avx2_kernels() { return nullptr; }
const KernelTable* avx512_kernels() { return nullptr; }
const Kernels<BFloat16>* avx512_bf16_kernels() { return nullptr; }

}  // namespace headlight::attention
