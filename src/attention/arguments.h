// Checks on what a caller asks for, before any kernel sees it.
#pragma once

#include "headlight/attention.h"

namespace headlight::attention {

// Throw Error (usage) with the argument, what is wrong with it and what would be right.
template <typename E>
void check(const AttentionForward<E>& call, const AttentionOptions<Compute<E>>& options,
           const Parallel& parallel);
template <typename E>
void check(const AttentionBackward<E>& call, const AttentionOptions<Compute<E>>& options,
           const Parallel& parallel);

}  // namespace headlight::attention
