// What the operator headlight::exact_attention takes and gives, named once in the order of its
// schema (schema.cpp).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>

namespace headlight::op {

using OptionalTensor = std::optional<at::Tensor>;

// q [B, H, Nq, D], k [B, G, Nk, D], v [B, G, Nk, E] of any stride; H a multiple of G. bias and mask
// broadcast to [B, H, Nq, Nk]; a boolean mask is true where a query may attend, any other is added
// to the scores. sinks [H]. key_lengths [B]. With query_starts and key_starts [sequences + 1], B is
// 1 and rows are those of all sequences, one after the other. seed [] int64, needed for dropout.
// causal: "none", "top_left" or "bottom_right". window: left and right, negative for no limit.
// Without a scale: 1 / sqrt(D).
struct Arguments {
  const at::Tensor &q, &k, &v;
  const OptionalTensor &bias, &sinks, &mask, &key_lengths, &query_starts, &key_starts, &seed;
  std::string_view causal;
  at::IntArrayRef window;
  std::optional<double> scale;
  double softcap = 0;
  double dropout = 0;
  bool statistics = false;
};

// out [B, H, Nq, E], lying in memory as [B, Nq, H, E], ready for an output projection;
// lse [B, H, Nq]; and, empty unless asked for, the row statistics of headlight/attention.h:
// rows [9, B, H, Nq] (entropy, distance, first, self, previous, next, local, top, sink),
// top_key [B, H, Nq], received [B, H, Nk]. All but out are in the type that is calculated in.
using Outputs = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
constexpr int64_t kRowStatistics = 9;

// Of q, k, v, bias and sinks; empty where not wanted.
using Gradients = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

struct Backward {
  const at::Tensor &grad_out, &out, &lse;
  std::array<bool, 5> wanted;
};

// The types of the operators as libtorch's dispatcher sees them.
template <typename Result, typename... Leading>
using Signature = Result(Leading..., const at::Tensor&, const at::Tensor&, const at::Tensor&,
                         const OptionalTensor&, const OptionalTensor&, const OptionalTensor&,
                         const OptionalTensor&, const OptionalTensor&, const OptionalTensor&,
                         const OptionalTensor&, std::string_view, at::IntArrayRef,
                         std::optional<double>, double, double, bool);
using ForwardSignature = Signature<Outputs>;
using BackwardSignature = Signature<Gradients, const at::Tensor&, const at::Tensor&,
                                    const at::Tensor&, std::array<bool, 5>>;

// float for tensors of 16 bits, else the tensor's own type.
inline at::ScalarType compute_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

// Refuse shapes and types that make no sense with ValueError. Sizes may be symbols.
void check(const Arguments& arguments);
void check(const Backward& backward, const Arguments& arguments);

// Memory for the results, on the device of q.
Outputs empty_outputs(const Arguments& arguments);
Gradients empty_gradients(const Backward& backward, const Arguments& arguments);

// On the CPU, by headlight's own kernels on libtorch's threads.
Outputs cpu_forward(const Arguments& arguments);
Gradients cpu_backward(const Backward& backward, const Arguments& arguments);

}  // namespace headlight::op
