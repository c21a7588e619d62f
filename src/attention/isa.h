// Which kernels run on this machine.
#pragma once

#include <string>
#include <vector>

#include "attention/cpu/kernels.h"

namespace headlight::attention {

// The table with those kernels of BFloat16 that multiply pairs.
KernelTable with_pairs(KernelTable table, const Kernels<BFloat16>& pairs, const char* name);

// All that this machine can run, the best first.
std::vector<const KernelTable*> usable_kernels();

// The best, or the one that HEADLIGHT_ISA names. Decided at the first call. Throws Error (usage) if
// the variable names none or one that this machine cannot run.
const KernelTable& chosen_kernels();

// The one called name; for "" the best. Throws as above.
const KernelTable& kernels_named(const std::string& name);

}  // namespace headlight::attention
