#include "lab/head_means.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "lab/captured_attention.h"
#include "lab/head_layers.h"
#include "model/attention_op.h"
#include "model/sentence_pairs.h"

namespace headlight::lab {

at::Tensor head_outputs(const model::Capture::Layer& l) {
  const auto packed = [](const at::Tensor& x) { return x.transpose(1, 2).flatten(2); };
  model::AttentionSettings s;
  s.heads = l.q.size(1);
  s.kv_heads = l.k.size(1);
  s.causal = l.causal;
  s.past = l.past;
  s.window = l.window;
  s.scale = l.scale;
  s.softcap = l.softcap;
  s.key_lengths = l.key_lengths;
  s.key_allowed = l.key_allowed;
  s.bias = l.bias;
  return model::cross_attention(packed(l.q), at::cat({packed(l.k), packed(l.v)}, 2), s)
      .unflatten(2, {l.q.size(1), l.q.size(3)});
}

at::Tensor used_rows(const model::Inputs& in, const std::string& stack, int64_t queries) {
  const bool source = stack == "encoder";
  const at::Tensor& mask = source ? in.source_mask : in.mask;
  const at::Tensor& lengths = source ? in.source_lengths : in.lengths;
  if (mask.defined()) return mask.ne(0).to(at::kDouble);
  if (!lengths.defined()) return {};
  return at::arange(queries).unsqueeze(0).lt(lengths.unsqueeze(1)).to(at::kDouble);
}

std::map<std::string, std::vector<at::Tensor>> head_means(
    const model::Transformer& model, const std::vector<Batch>& batches,
    const std::function<void(double)>& before) {
  const c10::NoGradGuard no_gradients;
  std::map<std::string, std::vector<at::Tensor>> means;
  std::map<std::string, std::vector<double>> rows;
  for (const HeadLayer& layer : head_layers(model.config)) {
    means[layer.stack].push_back(at::zeros({layer.heads, layer.head_dim}, at::kDouble));
    rows[layer.stack].push_back(0);
  }
  double done = 0;
  for (const Batch& batch : batches) {
    if (before) before(done++ / static_cast<double>(batches.size()));
    for (const model::Inputs& inputs : model::read_apart(model.config, batch.inputs))
      each_layer(model, inputs, [&](model::Capture::Layer&& layer) {
        at::Tensor heads = head_outputs(layer).to(at::kDouble);
        const at::Tensor real = used_rows(inputs, layer.stack, heads.size(1));
        if (real.defined()) heads = heads * real.unsqueeze(2).unsqueeze(3);
        const auto at = static_cast<size_t>(layer.layer);
        means[layer.stack][at] += heads.sum({0, 1});
        rows[layer.stack][at] += real.defined()
                                     ? real.sum().item<double>()
                                     : static_cast<double>(heads.size(0) * heads.size(1));
      });
  }
  for (auto& [stack, layers] : means)
    for (size_t l = 0; l < layers.size(); ++l)
      layers[l] = (layers[l] / std::max(rows[stack][l], 1.0)).to(at::kFloat);
  return means;
}

}  // namespace headlight::lab
