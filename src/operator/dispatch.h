// Between the dispatcher's long lists of arguments and the structs of arguments.h.
#pragma once

#include "operator/arguments.h"

namespace headlight::op {

// The operators as whoever comes next in the dispatcher's order runs them.
Outputs call_forward(const Arguments& arguments);
Gradients call_backward(const Backward& backward, const Arguments& arguments);

// Unpacked<kernel, Signature>::call takes the list and calls kernel with the struct.
template <auto kKernel, typename S>
struct Unpacked;

template <auto kKernel, typename... Rest>
struct Unpacked<kKernel, Outputs(Rest...)> {
  static Outputs call(Rest... rest) { return kKernel(Arguments{rest...}); }
};

template <auto kKernel, typename... Rest>
struct Unpacked<kKernel, Gradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                   std::array<bool, 5>, Rest...)> {
  static Gradients call(const at::Tensor& grad_out, const at::Tensor& out, const at::Tensor& lse,
                        std::array<bool, 5> wanted, Rest... rest) {
    return kKernel(Backward{grad_out, out, lse, wanted}, Arguments{rest...});
  }
};

// The first derivative by the backward operator; a second one is refused when it is asked for.
Outputs autograd_forward(const Arguments& arguments);
Gradients autograd_backward(const Backward& backward, const Arguments& arguments);

}  // namespace headlight::op
