#include "model/architecture/tensor_names.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace headlight::model {

void TensorNames::add(std::string name, const at::Tensor& view, double added) {
  if (view.defined()) all_.push_back({std::move(name), view, view.sizes().vec(), added});
}

void TensorNames::add(std::string name, const at::Tensor& view, std::vector<int64_t> shape) {
  if (view.defined()) all_.push_back({std::move(name), view, std::move(shape), 0});
}

void TensorNames::linear(const std::string& name, const Linear& layer) {
  add(name + ".weight", layer.weight);
  add(name + ".bias", layer.bias);
}

void TensorNames::linear_transposed(const std::string& name, const Linear& layer) {
  if (layer.weight.defined()) add(name + ".weight", layer.weight.detach().t());
  add(name + ".bias", layer.bias);
}

void TensorNames::norm(const std::string& name, const NormWeights& weights) {
  add(name + ".weight", weights.gain);
  add(name + ".bias", weights.shift);
}

void TensorNames::rows(const std::string& name, const Linear& packed, int64_t first,
                       int64_t count) {
  add(name + ".weight", packed.weight.detach().narrow(0, first, count));
  if (packed.bias.defined()) add(name + ".bias", packed.bias.detach().narrow(0, first, count));
}

void TensorNames::query_key_value(const std::string& query, const std::string& key,
                                  const std::string& value, const SelfAttention& attention) {
  const LayerHeads& h = attention.heads;
  const int64_t inner = h.heads * h.head_dim, inner_kv = h.kv_heads * h.head_dim;
  rows(query, attention.qkv, 0, inner);
  rows(key, attention.qkv, inner, inner_kv);
  rows(value, attention.qkv, inner + inner_kv, inner_kv);
}

void TensorNames::query_key_value(const std::string& query, const std::string& key,
                                  const std::string& value, const CrossAttention& attention) {
  const int64_t inner_kv = attention.heads.kv_heads * attention.heads.head_dim;
  linear(query, attention.query);
  rows(key, attention.key_value, 0, inner_kv);
  rows(value, attention.key_value, inner_kv, inner_kv);
}

void TensorNames::gate_and_up(const std::string& gate, const std::string& up, const Linear& both) {
  const int64_t width = both.weight.size(0) / 2;
  rows(gate, both, 0, width);
  rows(up, both, width, width);
}

bool TensorNames::is_ignored(const std::string& name) const {
  return std::find(ignored_.begin(), ignored_.end(), name) != ignored_.end() ||
         std::any_of(ignored_prefixes_.begin(), ignored_prefixes_.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

}  // namespace headlight::model
