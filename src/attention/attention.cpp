#include "headlight/attention.h"

#include "attention/isa.h"
#include "attention/passes.h"

// Instantiations take it from here, not from the header.
#pragma GCC visibility push(default)
namespace headlight {

template <typename T>
void attention_forward(const AttentionForward<T>& call, const AttentionOptions<Compute<T>>& options,
                       const Parallel& parallel) {
  attention::run_forward(attention::chosen_kernels(), call, options, parallel);
}

template <typename T>
void attention_backward(const AttentionBackward<T>& call,
                        const AttentionOptions<Compute<T>>& options, const Parallel& parallel) {
  attention::run_backward(attention::chosen_kernels(), call, options, parallel);
}

template void attention_forward(const AttentionForward<float>&, const AttentionOptions<float>&,
                                const Parallel&);
template void attention_backward(const AttentionBackward<float>&, const AttentionOptions<float>&,
                                 const Parallel&);
template void attention_forward(const AttentionForward<double>&, const AttentionOptions<double>&,
                                const Parallel&);
template void attention_backward(const AttentionBackward<double>&, const AttentionOptions<double>&,
                                 const Parallel&);
template void attention_forward(const AttentionForward<BFloat16>&, const AttentionOptions<float>&,
                                const Parallel&);
template void attention_backward(const AttentionBackward<BFloat16>&, const AttentionOptions<float>&,
                                 const Parallel&);
template void attention_forward(const AttentionForward<Float16>&, const AttentionOptions<float>&,
                                const Parallel&);
template void attention_backward(const AttentionBackward<Float16>&, const AttentionOptions<float>&,
                                 const Parallel&);

const char* attention_isa() { return attention::chosen_kernels().name; }

}  // namespace headlight
#pragma GCC visibility pop
