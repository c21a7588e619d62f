#include "model/uniform_heads.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "headlight/error.h"
#include "model/head_name.h"

namespace headlight::model {
namespace {

constexpr const char* kUsual = "num_attention_heads";
constexpr const char* kGrouped = "num_key_value_heads";

// As transformers 5 reads them.
constexpr HeadKeys kAll[] = {{"gemma2", kUsual, kGrouped, "head_dim", true},
                             {"gemma3_text", kUsual, kGrouped, "head_dim", true},
                             {"llama", kUsual, kGrouped, "head_dim", true},
                             {"mistral", kUsual, kGrouped, "head_dim", false},
                             {"qwen2", kUsual, kGrouped, "head_dim", false},
                             {"qwen3", kUsual, kGrouped, "head_dim", false},
                             {"t5", "num_heads", nullptr, "d_kv", false},
                             {"vit", kUsual, nullptr, "head_dim", false}};

[[noreturn]] void refuse_uniform(const std::string& why) {
  throw Error(ErrorKind::usage, fmt::format("--kind uniform: {}; compact takes any heads", why));
}

// All layers of a stack read one table, whose columns are the heads that they keep.
void select_bias(Stack& stack) {
  if (!stack.relative.defined() || stack.blocks.empty()) return;
  const std::vector<int64_t>& numbers = stack.blocks[0].attention.heads.numbers;
  for (size_t i = 1; i < stack.blocks.size(); ++i)
    if (stack.blocks[i].attention.heads.numbers != numbers)
      refuse_uniform(
          fmt::format("all layers of the {} share one table of relative positions, so they must "
                      "keep the same heads, and layers 0 and {} do not",
                      stack.name, i));
  if (numbers.empty()) return;
  const bool learns = stack.relative.requires_grad();
  stack.relative = stack.relative.detach()
                       .index_select(1, at::tensor(numbers, at::kLong).to(stack.relative.device()))
                       .set_requires_grad(learns);
}

}  // namespace

const HeadKeys& head_keys(const std::string& model_type) {
  const HeadKeys* const found =
      std::ranges::find_if(kAll, [&](const HeadKeys& keys) { return keys.type == model_type; });
  if (found != std::end(kAll)) return *found;
  if (model_type == "headlight")
    refuse_uniform(
        "this model is in headlight's own form, which no config of transformers describes");
  std::vector<std::string> others;
  for (const HeadKeys& keys : kAll) others.push_back(keys.type);
  refuse_uniform(
      fmt::format("transformers derives the width of a head of {} models from the number of "
                  "heads, so that none can be left out (of {} they can)",
                  model_type, fmt::join(others, ", ")));
}

bool takes_heads(const std::string& model_type, const Config& config) {
  const int64_t heads = layer_heads(config, parts_of(config).front().part, 0).heads;
  return heads > 0 && (!head_keys(model_type).divides || config.dim % heads == 0);
}

Transformer with_uniform_heads(Transformer model, const HeadKeys& keys) {
  Config& c = model.config;
  const NamedPart first_part = parts_of(c).front();
  const LayerHeads first = layer_heads(c, first_part.part, 0);
  for (const NamedPart& part : parts_of(c))
    for (int64_t layer = 0; layer < part.layers; ++layer) {
      const LayerHeads h = layer_heads(c, part.part, layer);
      if (h.heads != first.heads || h.kv_heads != first.kv_heads || h.head_dim != first.head_dim)
        refuse_uniform(fmt::format("layer {}.{} would have {} heads and layer {}.0 {}", part.stack,
                                   layer, h.heads, first_part.stack, first.heads));
    }
  if (first.heads == 0) refuse_uniform("no layer would have a head left");
  if (!takes_heads(keys.type, c))
    refuse_uniform(
        fmt::format("transformers refuses {} models whose hidden_size {} is no multiple of the "
                    "{} heads",
                    keys.type, c.dim, first.heads));
  select_bias(model.encoder);
  select_bias(model.decoder);
  c.heads = first.heads;
  c.kv_heads = first.kv_heads;
  c.head_dim = first.head_dim;
  for (auto* layers : {&c.encoder_attention, &c.decoder_attention, &c.cross_attention})
    for (LayerHeads& layer : *layers) layer.numbers.clear();
  for (Stack* stack : {&model.encoder, &model.decoder})
    for (Block& block : stack->blocks) {
      block.attention.heads.numbers.clear();
      block.cross.heads.numbers.clear();
    }
  return model;
}

}  // namespace headlight::model
