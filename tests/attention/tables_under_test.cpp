#include "run_case.h"
#include "wide.h"

namespace headlight::attention {

std::vector<const KernelTable*> tables_under_test() {
  std::vector<const KernelTable*> tables = usable_kernels();
  if (wide_kernels() && std::string(kernels_named("").name) != "portable") {
    tables.push_back(wide_kernels());
    static const KernelTable pairs = with_pairs(*wide_kernels(), *wide_bf16_kernels(), "wide_bf16");
    tables.push_back(&pairs);
  }
  return tables;
}

}  // namespace headlight::attention
