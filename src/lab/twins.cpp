#include "lab/twins.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <set>

#include "lab/captured_attention.h"
#include "lab/head_means.h"
#include "lab/inspection.h"
#include "model/cut_heads.h"
#include "model/sentence_pairs.h"

namespace headlight::lab {
namespace {

using model::HeadPlace;

model::Block& block_of(model::Transformer& model, const HeadPlace& place) {
  const bool encodes = place.stack == "encoder" ||
                       (place.stack == "self" && model.config.kind == model::Kind::encoder_only);
  return (encodes ? model.encoder : model.decoder).blocks[static_cast<size_t>(place.layer)];
}

model::Linear& projection_of(model::Transformer& model, const HeadPlace& place) {
  model::Block& block = block_of(model, place);
  return place.stack == "cross" ? block.cross.out : block.attention.out;
}

// Heads per group of keys and values.
int64_t group_size(const model::Config& config, const InspectedLayer& layer) {
  for (const model::NamedPart& part : model::parts_of(config)) {
    if (part.stack != layer.stack) continue;
    const model::LayerHeads h = model::layer_heads(config, part.part, layer.layer);
    return h.heads / h.kv_heads;
  }
  return 1;
}

// Sums over all rows of what heads of one layer hand over, the first one's times every one's.
struct Products {
  double rows = 0;
  std::vector<at::Tensor> sums;      // [d] of each head
  std::vector<at::Tensor> products;  // [d, d] with each head
};

Products products_of(const model::Transformer& model, const std::vector<HeadPlace>& heads,
                     const std::vector<Batch>& batches) {
  Products all;
  all.sums.resize(heads.size());
  all.products.resize(heads.size());
  const auto add = [](at::Tensor& sum, const at::Tensor& part) {
    sum = sum.defined() ? sum + part : part;
  };
  for (const Batch& batch : batches)
    for (const model::Inputs& inputs : model::read_apart(model.config, batch.inputs))
      each_layer(model, inputs, [&](model::Capture::Layer&& layer) {
        if (layer.stack != heads[0].stack || layer.layer != heads[0].layer) return;
        at::Tensor y = head_outputs(layer).flatten(0, 1).to(at::kDouble);  // [B N, H, d]
        const at::Tensor used = used_rows(inputs, layer.stack, layer.q.size(2));
        if (used.defined()) y = y.index_select(0, used.flatten().nonzero().squeeze(1));
        all.rows += static_cast<double>(y.size(0));
        const at::Tensor first = y.select(1, heads[0].head);
        for (size_t i = 0; i < heads.size(); ++i) {
          const at::Tensor own = y.select(1, heads[i].head);
          add(all.sums[i], own.sum(0));
          add(all.products[i], at::mm(first.t(), own));
        }
      });
  return all;
}

}  // namespace

std::vector<Twins> find_twins(const model::Transformer& model, const std::vector<Example>& examples,
                              int threads, const std::function<void(int64_t, int64_t)>& advanced) {
  InspectSettings settings;
  settings.random_repeat = 0;
  settings.flow = false;
  settings.threads = threads;
  std::vector<Example> texts;
  for (const Example& example : examples)
    for (model::Inputs& inputs : model::read_apart(model.config, example.inputs)) {
      texts.push_back(example);
      texts.back().inputs = std::move(inputs);
    }
  std::vector<Twins> all;
  for (const InspectedLayer& layer : inspect(model, texts, settings, advanced).layers) {
    const auto& found = layer.analysis.redundancy;
    if (!found || found->clusters.empty()) continue;
    const std::vector<int64_t>& cluster = found->clusters;
    const auto heads = static_cast<int64_t>(cluster.size());
    const int64_t size = group_size(model.config, layer);
    const auto stays = [&](int64_t head) {
      return found->medoids[static_cast<size_t>(cluster[static_cast<size_t>(head)])] == head;
    };
    std::map<int64_t, Twins> by_cluster;
    for (int64_t first = 0; first < heads; first += size) {
      bool one_stays = false;
      for (int64_t head = first; head < first + size; ++head) one_stays |= stays(head);
      if (one_stays) continue;
      for (int64_t head = first; head < first + size; ++head) {
        const int64_t label = cluster[static_cast<size_t>(head)];
        Twins& twins = by_cluster[label];
        twins.stays = {layer.stack, layer.layer, found->medoids[static_cast<size_t>(label)]};
        twins.gone.push_back({layer.stack, layer.layer, head});
      }
    }
    for (auto& [label, twins] : by_cluster) all.push_back(std::move(twins));
  }
  return all;
}

model::Transformer with_merged(const model::Transformer& model, const Twins& twins,
                               const std::vector<Batch>& batches) {
  const at::NoGradGuard no_gradients;
  std::vector<HeadPlace> heads = {twins.stays};
  heads.insert(heads.end(), twins.gone.begin(), twins.gone.end());
  Products y = products_of(model, heads, batches);
  model::Transformer merged = model;
  model::Linear& out = projection_of(merged, twins.stays);
  const int64_t d = y.sums[0].size(0);
  const bool learns = out.weight.requires_grad();
  const bool biased = out.bias.defined();
  at::Tensor weight = out.weight.detach().to(at::kDouble);
  at::Tensor bias = biased ? out.bias.detach().to(at::kDouble) : at::Tensor();
  const at::Tensor mean = y.sums[0] / y.rows;
  if (biased)
    for (size_t i = 0; i < heads.size(); ++i)
      y.products[i] = y.products[i] - at::outer(mean, y.sums[i]);
  // The normal equations by the pseudoinverse, so that directions which the examples do not show
  // stay untouched.
  const at::Tensor inverse = at::linalg_pinv(y.products[0], 1e-10, /*hermitian=*/true);
  at::Tensor added = at::zeros({weight.size(0), d}, weight.options());
  for (size_t i = 1; i < heads.size(); ++i) {
    const at::Tensor map = at::mm(inverse, y.products[i]);          // [d, d]
    const at::Tensor own = weight.narrow(1, heads[i].head * d, d);  // [D, d]
    added = added + at::mm(own, map.t());
    if (biased) bias = bias + at::mv(own, y.sums[i] / y.rows - at::mv(map.t(), mean));
  }
  weight = weight.clone();
  weight.narrow(1, twins.stays.head * d, d).add_(added);
  out.weight = weight.to(out.weight.scalar_type()).set_requires_grad(learns);
  if (biased) out.bias = bias.to(out.bias.scalar_type()).set_requires_grad(learns);
  return merged;
}

}  // namespace headlight::lab
