#include "attention/isa.h"

#include <cstdlib>

#include "headlight/attention.h"
#include "headlight/error.h"

namespace headlight::attention {
namespace {

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avx512_bf16() { return false; }
#endif

}  // namespace

KernelTable with_pairs(KernelTable table, const Kernels<BFloat16>& pairs, const char* name) {
  table.name = name;
  table.for_bfloat16.forward = pairs.forward;
  return table;
}

std::vector<const KernelTable*> usable_kernels() {
  std::vector<const KernelTable*> usable;
  if (has_avx512_bf16() && avx512_bf16_kernels()) {
    static const KernelTable table =
        with_pairs(*avx512_kernels(), *avx512_bf16_kernels(), "avx512_bf16");
    usable.push_back(&table);
  }
  if (has_avx512() && avx512_kernels()) usable.push_back(avx512_kernels());
  if (has_avx2() && avx2_kernels()) usable.push_back(avx2_kernels());
  if (neon_kernels()) usable.push_back(neon_kernels());
  usable.push_back(portable_kernels());
  return usable;
}

const KernelTable& kernels_named(const std::string& name) {
  std::string names;
  for (const KernelTable* table : usable_kernels()) {
    if (name.empty() || name == table->name) return *table;
    names += (names.empty() ? "" : ", ") + std::string(table->name);
  }
  throw Error(ErrorKind::usage, "HEADLIGHT_ISA=" + name +
                                    ": this machine has no such instruction set for attention; "
                                    "it can run " +
                                    names + ".");
}

const KernelTable& chosen_kernels() {
  static const KernelTable& chosen = []() -> const KernelTable& {
    const char* name = std::getenv("HEADLIGHT_ISA");
    return kernels_named(name ? name : "");
  }();
  return chosen;
}

}  // namespace headlight::attention
