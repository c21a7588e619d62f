#include "attention/cpu/table.inl"

namespace headlight::attention {

// Part of every aarch64, which has twice the registers of AVX2 in half the width.
const KernelTable* neon_kernels() {
  static constexpr KernelTable kTable = kernel_table<16, 12>("neon");
  return &kTable;
}

}  // namespace headlight::attention
