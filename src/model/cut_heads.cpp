#include "model/cut_heads.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "headlight/error.h"

namespace headlight::model {
namespace {

// Which heads of a layer stay.
struct Kept {
  std::vector<int64_t> heads, groups;
};

// The heads to go of every layer of one stack.
using ByLayer = std::map<int64_t, std::vector<int64_t>>;

ByLayer of_stack(const std::vector<HeadPlace>& heads, const std::string& stack) {
  ByLayer layers;
  for (const HeadPlace& place : heads)
    if (place.stack == stack) layers[place.layer].push_back(place.head);
  return layers;
}

// `gone` are whole groups in ascending order.
Kept kept_of(const LayerHeads& h, const std::vector<int64_t>& gone) {
  Kept kept;
  const int64_t size = h.heads / h.kv_heads;
  for (int64_t head = 0; head < h.heads; ++head) {
    if (std::ranges::binary_search(gone, head)) continue;
    kept.heads.push_back(head);
    if (head % size == 0) kept.groups.push_back(head / size);
  }
  return kept;
}

LayerHeads left_of(LayerHeads h, const Kept& kept) {
  std::vector<int64_t> numbers;
  for (const int64_t head : kept.heads)
    numbers.push_back(h.numbers.empty() ? head : h.numbers[static_cast<size_t>(head)]);
  h.numbers = std::move(numbers);
  h.heads = static_cast<int64_t>(kept.heads.size());
  h.kv_heads = static_cast<int64_t>(kept.groups.size());
  return h;
}

// Rows of heads of width d, the first of which begins at row `first`.
void add_rows(std::vector<int64_t>& rows, const std::vector<int64_t>& heads, int64_t first,
              int64_t d) {
  for (const int64_t head : heads)
    for (int64_t i = 0; i < d; ++i) rows.push_back(first + head * d + i);
}

at::Tensor part_of(const at::Tensor& tensor, int64_t axis, const std::vector<int64_t>& places) {
  if (!tensor.defined()) return tensor;
  const at::Tensor index = at::tensor(places, at::kLong).to(tensor.device());
  return tensor.detach().index_select(axis, index).set_requires_grad(tensor.requires_grad());
}

Linear rows_of(const Linear& layer, const std::vector<int64_t>& rows) {
  return {part_of(layer.weight, 0, rows), part_of(layer.bias, 0, rows)};
}

Linear columns_of(const Linear& layer, const std::vector<int64_t>& heads, int64_t d) {
  std::vector<int64_t> columns;
  add_rows(columns, heads, 0, d);
  return {part_of(layer.weight, 1, columns), layer.bias};
}

void cut(SelfAttention& attention, const std::vector<int64_t>& gone) {
  const LayerHeads h = attention.heads;
  const Kept kept = kept_of(h, gone);
  std::vector<int64_t> rows;
  add_rows(rows, kept.heads, 0, h.head_dim);
  add_rows(rows, kept.groups, h.heads * h.head_dim, h.head_dim);
  add_rows(rows, kept.groups, (h.heads + h.kv_heads) * h.head_dim, h.head_dim);
  attention.qkv = rows_of(attention.qkv, rows);
  attention.out = columns_of(attention.out, kept.heads, h.head_dim);
  attention.heads = left_of(h, kept);
}

void cut(CrossAttention& attention, const std::vector<int64_t>& gone) {
  const LayerHeads h = attention.heads;
  const Kept kept = kept_of(h, gone);
  std::vector<int64_t> queries, rows;
  add_rows(queries, kept.heads, 0, h.head_dim);
  add_rows(rows, kept.groups, 0, h.head_dim);
  add_rows(rows, kept.groups, h.kv_heads * h.head_dim, h.head_dim);
  attention.query = rows_of(attention.query, queries);
  attention.key_value = rows_of(attention.key_value, rows);
  attention.out = columns_of(attention.out, kept.heads, h.head_dim);
  attention.heads = left_of(h, kept);
}

void silence(auto& attention, const std::vector<int64_t>& gone) {
  at::Tensor& weight = attention.out.weight;
  const bool learns = weight.requires_grad();
  weight = weight.detach().clone();
  const int64_t d = attention.heads.head_dim;
  for (const int64_t head : gone) weight.narrow(1, head * d, d).zero_();
  weight.set_requires_grad(learns);
}

// Calls act(attention, its heads to go, part, layer) for every layer that loses heads.
template <typename F>
void each_layer(Transformer& model, const std::vector<HeadPlace>& heads, F act) {
  for (const NamedPart& part : parts_of(model.config)) {
    Stack& stack = part.part == Part::encoder ? model.encoder : model.decoder;
    for (const auto& [layer, gone] : of_stack(heads, part.stack)) {
      Block& block = stack.blocks[static_cast<size_t>(layer)];
      if (part.part == Part::cross)
        act(block.cross, gone, part.part, layer);
      else
        act(block.attention, gone, part.part, layer);
    }
  }
}

std::vector<LayerHeads>& layers_of(Config& config, Part part) {
  return part == Part::encoder   ? config.encoder_attention
         : part == Part::decoder ? config.decoder_attention
                                 : config.cross_attention;
}

}  // namespace

Gates closed_gates(const Transformer& model, const std::vector<HeadPlace>& heads) {
  Gates gates;
  for (const NamedPart& part : parts_of(model.config)) {
    const ByLayer closed = of_stack(heads, part.stack);
    if (closed.empty()) continue;
    std::vector<at::Tensor>& layers = gates.factors[part.stack];
    layers.resize(static_cast<size_t>(part.layers));
    for (const auto& [layer, gone] : closed) {
      const int64_t count = layer_heads(model.config, part.part, layer).heads;
      at::Tensor& gate = layers.at(static_cast<size_t>(layer));
      gate = at::ones({count}, parameters(model).front().tensor.options().requires_grad(false));
      for (const int64_t head : gone) gate[head] = 0;
    }
  }
  return gates;
}

std::vector<HeadPlace> whole_groups(const Config& config, std::vector<HeadPlace> heads) {
  std::vector<HeadPlace> found;
  std::ranges::sort(heads);
  heads.erase(std::ranges::unique(heads).begin(), heads.end());
  const auto asked = [&](const HeadPlace& place) {
    return std::ranges::binary_search(heads, place);
  };
  for (const NamedPart& part : parts_of(config))
    for (int64_t layer = 0; layer < part.layers; ++layer) {
      const LayerHeads h = layer_heads(config, part.part, layer);
      const int64_t size = h.heads == 0 ? 1 : h.heads / h.kv_heads;
      for (int64_t first = 0; first < h.heads; first += size) {
        std::vector<HeadPlace> group;
        for (int64_t head = first; head < first + size; ++head)
          if (const HeadPlace place{part.stack, layer, head}; asked(place)) group.push_back(place);
        if (!group.empty() && static_cast<int64_t>(group.size()) < size)
          throw Error(
              ErrorKind::usage,
              fmt::format("{} cannot go alone: heads {}.{}.{} to {}.{}.{} share keys and values "
                          "(group {}); name all {} of them, or none",
                          name_of(group.front()), part.stack, layer, first, part.stack, layer,
                          first + size - 1, first / size, size));
        found.insert(found.end(), group.begin(), group.end());
      }
    }
  for (const HeadPlace& place : heads)
    if (std::ranges::find(found, place) == found.end())
      throw Error(ErrorKind::usage, fmt::format("there is no head {}", name_of(place)));
  return found;
}

Transformer cut_heads(const Transformer& model, const std::vector<HeadPlace>& heads) {
  Transformer smaller = model;
  Config& c = smaller.config;
  for (const NamedPart& part : parts_of(c)) {
    std::vector<LayerHeads> all;
    for (int64_t i = 0; i < part.layers; ++i) all.push_back(layer_heads(c, part.part, i));
    layers_of(c, part.part) = std::move(all);
  }
  each_layer(smaller, whole_groups(c, heads),
             [&](auto& attention, const auto& gone, Part part, int64_t layer) {
               cut(attention, gone);
               layers_of(c, part)[static_cast<size_t>(layer)] = attention.heads;
             });
  return smaller;
}

Transformer silence_heads(const Transformer& model, const std::vector<HeadPlace>& heads) {
  Transformer same = model;
  each_layer(same, whole_groups(model.config, heads),
             [](auto& attention, const auto& gone, Part, int64_t) { silence(attention, gone); });
  return same;
}

}  // namespace headlight::model
