// The passes of headlight/attention.h with kernels of the caller's choice; the tests run every
// instruction set through these.
#pragma once

#include "attention/cpu/kernels.h"
#include "headlight/attention.h"

namespace headlight::attention {

template <typename E>
void run_forward(const KernelTable& kernels, const AttentionForward<E>& call,
                 const AttentionOptions<Compute<E>>& options, const Parallel& parallel);

template <typename E>
void run_backward(const KernelTable& kernels, const AttentionBackward<E>& call,
                  const AttentionOptions<Compute<E>>& options, const Parallel& parallel);

}  // namespace headlight::attention
