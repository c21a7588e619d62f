#pragma once

#include "attention/cpu/kernels.h"

namespace headlight::attention {

// The source of avx512.cpp compiled for AVX2: the same vectors of 64 bytes, each in two registers,
// so that a machine without AVX-512 can test that path. Null where there is no AVX2.
const KernelTable* wide_kernels();

// The same of avx512_bf16.cpp, with the dot product of pairs written out.
const Kernels<BFloat16>* wide_bf16_kernels();

}  // namespace headlight::attention
