// Few queries against many keys: a pass of its own behind attention_forward.
#pragma once

#include "attention/cpu/kernels.h"

namespace headlight::attention {

// Whether the decoding kernels can do this problem, and are made for it.
template <typename E>
bool is_decoding(const Kernels<E>& kernels, const ForwardProblem<E>& problem);

template <typename E>
void run_decode(const Kernels<E>& kernels, const ForwardProblem<E>& problem,
                const Parallel& parallel);

}  // namespace headlight::attention
