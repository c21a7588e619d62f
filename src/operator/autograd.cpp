#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "operator/dispatch.h"

namespace headlight::op {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::compute_requires_grad;
using torch::autograd::variable_list;

// Forward mode: the tangent would be lost without a word.
void refuse_tangents(std::initializer_list<OptionalTensor> inputs) {
  for (const OptionalTensor& x : inputs) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        !x || !x->_fw_grad(/*level=*/0).defined(),
        "headlight.attention has no forward-mode derivative; differentiate backward.");
  }
}

at::Tensor or_undefined(const OptionalTensor& x) { return x.value_or(at::Tensor()); }

class Attention : public torch::autograd::Function<Attention> {
 public:
  // The tensors whose gradients there are come one by one: autograd finds its inputs among the
  // parameters of this function.
  static variable_list forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v, const OptionalTensor& bias,
                               const OptionalTensor& sinks, const Arguments& a) {
    at::AutoDispatchBelowADInplaceOrView below;
    const auto [out, lse, rows, top_key, received] = call_forward(a);
    context->save_for_backward({q, k, v, or_undefined(bias), or_undefined(sinks),
                                or_undefined(a.mask), or_undefined(a.key_lengths),
                                or_undefined(a.query_starts), or_undefined(a.key_starts),
                                or_undefined(a.seed), out, lse});
    auto& kept = context->saved_data;
    kept["causal"] = std::string(a.causal);
    kept["window"] = a.window.vec();
    kept["scale"] = a.scale;
    kept["softcap"] = a.softcap;
    kept["dropout"] = a.dropout;
    context->mark_non_differentiable({lse, rows, top_key, received});
    return {out, lse, rows, top_key, received};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    std::array<OptionalTensor, 7> optional;
    for (size_t i = 0; i < optional.size(); ++i) {
      if (saved[i + 3].defined()) optional[i] = saved[i + 3];
    }
    const auto& [bias, sinks, mask, key_lengths, query_starts, key_starts, seed] = optional;
    auto& kept = context->saved_data;
    const std::string causal = kept["causal"].toStringRef();
    const std::vector<int64_t> window = kept["window"].toIntVector();
    const Arguments a = {saved[0],
                         saved[1],
                         saved[2],
                         bias,
                         sinks,
                         mask,
                         key_lengths,
                         query_starts,
                         key_starts,
                         seed,
                         causal,
                         window,
                         kept["scale"].toOptional<double>(),
                         kept["softcap"].toDouble(),
                         kept["dropout"].toDouble()};
    // Autograd counts only the inputs that are there.
    const size_t sinks_input = bias ? 4 : 3;
    const std::array<bool, 5> wanted = {
        context->needs_input_grad(0), context->needs_input_grad(1), context->needs_input_grad(2),
        bias && context->needs_input_grad(3), sinks && context->needs_input_grad(sinks_input)};
    const auto [q, k, v, of_bias, of_sinks] =
        call_backward({grads[0], saved[10], saved[11], wanted}, a);
    variable_list all = {q, k, v, of_bias, of_sinks, at::Tensor()};
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i]) all[i] = at::Tensor();
    }
    return all;
  }
};

}  // namespace

Outputs autograd_forward(const Arguments& a) {
  refuse_tangents({a.q, a.k, a.v, a.bias, a.sinks, a.mask});
  if (!compute_requires_grad(a.q, a.k, a.v, a.bias, a.sinks)) {
    at::AutoDispatchBelowADInplaceOrView below;
    return call_forward(a);
  }
  const variable_list all = Attention::apply(a.q, a.k, a.v, a.bias, a.sinks, a);
  return {all[0], all[1], all[2], all[3], all[4]};
}

Gradients autograd_backward(const Backward& b, const Arguments& a) {
  const bool followed = compute_requires_grad(b.grad_out, a.q, a.k, a.v, a.bias, a.sinks);
  Gradients gradients = [&] {
    at::AutoDispatchBelowADInplaceOrView below;
    return call_backward(b, a);
  }();
  if (followed) {
    const auto refusal = c10::make_intrusive<torch::autograd::Error>(
        "headlight.attention can be differentiated once; it has no second derivative.",
        torch::autograd::collect_next_edges(b.grad_out, a.q, a.k, a.v, a.bias, a.sinks));
    std::apply([&](auto&... gradient) { (torch::autograd::set_history(gradient, refusal), ...); },
               gradients);
  }
  return gradients;
}

}  // namespace headlight::op
