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

// A tensor that holds heads, and its rows or columns of those that stay.
struct Slice {
  at::Tensor* tensor;
  int64_t axis;
  std::vector<int64_t> kept;
};

// In a fixed order; tensors that the model does not have are undefined.
std::vector<Slice> slices_of(SelfAttention& attention, const Kept& kept) {
  const LayerHeads& h = attention.heads;
  const int64_t d = h.head_dim;
  std::vector<int64_t> rows, columns;
  add_rows(rows, kept.heads, 0, d);
  add_rows(rows, kept.groups, h.heads * d, d);
  add_rows(rows, kept.groups, (h.heads + h.kv_heads) * d, d);
  add_rows(columns, kept.heads, 0, d);
  return {{&attention.qkv.weight, 0, rows},
          {&attention.qkv.bias, 0, rows},
          {&attention.out.weight, 1, columns}};
}

std::vector<Slice> slices_of(CrossAttention& attention, const Kept& kept) {
  const LayerHeads& h = attention.heads;
  const int64_t d = h.head_dim;
  std::vector<int64_t> queries, rows;
  add_rows(queries, kept.heads, 0, d);
  add_rows(rows, kept.groups, 0, d);
  add_rows(rows, kept.groups, h.kv_heads * d, d);
  return {{&attention.query.weight, 0, queries},
          {&attention.query.bias, 0, queries},
          {&attention.key_value.weight, 0, rows},
          {&attention.key_value.bias, 0, rows},
          {&attention.out.weight, 1, queries}};
}

at::Tensor index_of(const std::vector<int64_t>& places, const at::Tensor& like) {
  return at::tensor(places, at::kLong).to(like.device());
}

void cut(auto& attention, const std::vector<int64_t>& gone) {
  const Kept kept = kept_of(attention.heads, gone);
  for (const Slice& slice : slices_of(attention, kept)) {
    at::Tensor& t = *slice.tensor;
    if (!t.defined()) continue;
    t = t.detach()
            .index_select(slice.axis, index_of(slice.kept, t))
            .set_requires_grad(t.requires_grad());
  }
  attention.heads = left_of(attention.heads, kept);
}

template <typename Attention>
void put_back(Attention& to, Attention from, const std::vector<int64_t>& gone) {
  const Kept kept = kept_of(to.heads, gone);
  const std::vector<Slice> all = slices_of(to, kept), few = slices_of(from, kept);
  for (size_t i = 0; i < all.size(); ++i) {
    const at::Tensor& t = *all[i].tensor;
    if (t.defined())
      t.detach().index_copy_(all[i].axis, index_of(all[i].kept, t), few[i].tensor->detach());
  }
  const int64_t d = to.heads.head_dim;
  for (const int64_t head : gone) to.out.weight.detach().narrow(1, head * d, d).zero_();
}

// Calls act(part, layer, its heads) for every layer that loses heads.
template <typename F>
void each_layer(const Config& config, const std::vector<HeadPlace>& heads, F act) {
  for (const NamedPart& part : parts_of(config))
    for (const auto& [layer, gone] : of_stack(heads, part.stack))
      act(part.part, static_cast<size_t>(layer), gone);
}

Block& block_of(Transformer& model, Part part, size_t layer) {
  return (part == Part::encoder ? model.encoder : model.decoder).blocks[layer];
}

std::vector<LayerHeads>& layers_of(Config& config, Part part) {
  return part == Part::encoder   ? config.encoder_attention
         : part == Part::decoder ? config.decoder_attention
                                 : config.cross_attention;
}

}  // namespace

Gates closed_gates(const Transformer& model, const std::vector<HeadPlace>& heads) {
  Gates gates;
  const at::TensorOptions like = parameters(model).front().tensor.options().requires_grad(false);
  for (const NamedPart& part : parts_of(model.config)) {
    const ByLayer closed = of_stack(heads, part.stack);
    if (closed.empty()) continue;
    std::vector<at::Tensor>& layers = gates.factors[part.stack];
    layers.resize(static_cast<size_t>(part.layers));
    for (const auto& [layer, gone] : closed) {
      const int64_t count = layer_heads(model.config, part.part, layer).heads;
      at::Tensor& gate = layers.at(static_cast<size_t>(layer));
      gate = at::ones({count}, like);
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
  c.shared_layers = false;  // a layer that loses heads is no longer like the others
  for (const NamedPart& part : parts_of(c)) {
    std::vector<LayerHeads> all;
    for (int64_t i = 0; i < part.layers; ++i) all.push_back(layer_heads(c, part.part, i));
    layers_of(c, part.part) = std::move(all);
  }
  each_layer(c, whole_groups(c, heads), [&](Part part, size_t layer, const auto& gone) {
    Block& block = block_of(smaller, part, layer);
    if (part == Part::cross)
      cut(block.cross, gone);
    else
      cut(block.attention, gone);
    layers_of(c, part)[layer] = part == Part::cross ? block.cross.heads : block.attention.heads;
  });
  return smaller;
}

Transformer put_back(const Transformer& cut, const Transformer& model,
                     const std::vector<HeadPlace>& heads) {
  Transformer whole = model, few = cut;
  whole.config.shared_layers = false;
  whole = copy_of(whole);
  const std::vector<NamedTensor> to = parameters(whole), from = parameters(cut);
  for (size_t i = 0; i < to.size(); ++i)
    if (to[i].tensor.sizes() == from[i].tensor.sizes())
      to[i].tensor.detach().copy_(from[i].tensor.detach());
  each_layer(model.config, whole_groups(model.config, heads),
             [&](Part part, size_t layer, const auto& gone) {
               Block &a = block_of(whole, part, layer), &b = block_of(few, part, layer);
               if (part == Part::cross)
                 put_back(a.cross, b.cross, gone);
               else
                 put_back(a.attention, b.attention, gone);
             });
  return whole;
}

}  // namespace headlight::model
