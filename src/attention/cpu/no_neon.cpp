// Stands in for neon.cpp on other machines.
#include "attention/cpu/kernels.h"

namespace headlight::attention {

const KernelTable* neon_kernels() { return nullptr; }

}  // namespace headlight::attention
