#include "model/attention_op.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <cmath>

#include "model/attention_kernels.h"

namespace headlight::model {
namespace {

struct KeptSettings : torch::CustomClassHolder {
  explicit KeptSettings(const AttentionSettings& s) : settings(s) {}
  AttentionSettings settings;
};

OptionalTensor optional(const at::Tensor& t) {
  return t.defined() ? OptionalTensor(t) : std::nullopt;
}

class Attention : public torch::autograd::Function<Attention> {
 public:
  // The bias is also in the settings; as an argument of its own it gets its gradient.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query,
                            const OptionalTensor& key_value, const OptionalTensor& bias,
                            const AttentionSettings& settings, at::Tensor* lse) {
    AttentionSettings own = settings;
    own.bias = at::Tensor();
    auto kept = c10::make_intrusive<KeptSettings>(own);
    own.bias = bias.value_or(at::Tensor());
    const Attended attended = cpu_attention(query, key_value, own);
    if (lse) *lse = attended.lse;
    context->save_for_backward(
        {query, key_value.value_or(at::Tensor()), own.bias, attended.out, attended.lse});
    context->saved_data["settings"] = c10::IValue::make_capsule(std::move(kept));
    return attended.out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    AttentionSettings settings =
        static_cast<KeptSettings&>(*context->saved_data["settings"].toCapsule()).settings;
    settings.bias = saved[2];
    const bool to_bias =
        settings.bias.defined() && context->needs_input_grad(saved[1].defined() ? 2 : 1);
    const AttentionGradients g = cpu_attention_backward(grads[0], saved[0], optional(saved[1]),
                                                        {saved[3], saved[4]}, settings, to_bias);
    return {g.query, g.key_value, g.bias, at::Tensor(), at::Tensor()};
  }
};

at::Tensor attend(const at::Tensor& query, const OptionalTensor& key_value, int64_t head_dim,
                  const AttentionSettings& given, at::Tensor* lse) {
  AttentionSettings s = given;
  if (s.scale == 0) s.scale = 1 / std::sqrt(static_cast<double>(head_dim));
  if (query.is_meta())
    return at::empty({query.size(0), query.size(1), head_dim * s.heads}, query.options());
  if (!query.is_cpu()) return cuda_attention(query, key_value, s);
  return Attention::apply(query, key_value, optional(s.bias), s, lse);
}

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv, const AttentionSettings& settings,
                          at::Tensor* lse) {
  return attend(qkv, std::nullopt, qkv.size(2) / (settings.heads + 2 * settings.kv_heads), settings,
                lse);
}

at::Tensor cross_attention(const at::Tensor& query, const at::Tensor& key_value,
                           const AttentionSettings& settings, at::Tensor* lse) {
  return attend(query, key_value, query.size(2) / settings.heads, settings, lse);
}

}  // namespace headlight::model
