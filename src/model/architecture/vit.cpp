// The Vision Transformer (Dosovitskiy et al. 2021).
#include <fmt/format.h>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

// One number, or [height, width].
std::pair<int64_t, int64_t> both_sides(const ConfigReader& reader, const char* key,
                                       int64_t otherwise) {
  const std::vector<int64_t> sides = reader.integers(key);
  if (sides.empty()) return {otherwise, otherwise};
  for (const int64_t side : sides)
    if (side < 1 || sides.size() > 2) reader.refuse(key, "it must be one or two positive integers");
  return {sides.front(), sides.back()};
}

Config vit_config(const ConfigReader& reader, const TensorNames& names) {
  Config c;
  c.kind = Kind::encoder_only;
  c.dim = reader.size({"hidden_size"}, 768);
  c.layers = reader.size({"num_hidden_layers"}, 12);
  c.heads = reader.size({"num_attention_heads"}, 12);
  c.head_dim = reader.size({"head_dim"}, 0);
  c.ffn = reader.size({"intermediate_size"}, 3072);
  c.channels = reader.size({"num_channels"}, 3);
  std::tie(c.image_height, c.image_width) = both_sides(reader, "image_size", 224);
  const auto patch = both_sides(reader, "patch_size", 16);
  if (patch.first != patch.second) reader.refuse("patch_size", "only squares are supported");
  c.patch = patch.first;
  if (c.image_height > 1 << 16 || c.image_width > 1 << 16)
    reader.refuse("image_size", "that is too large");
  c.positions = 1 + (c.image_height / c.patch) * (c.image_width / c.patch);
  c.norm = Norm::layer;
  c.norm_epsilon = reader.number({"layer_norm_eps"}, 1e-12);
  c.final_norm = true;
  c.activation = reader.activation({"hidden_act"}, "gelu");
  c.dropout = c.embedding_dropout = reader.number({"hidden_dropout_prob"}, 0);
  c.attention_dropout = reader.number({"attention_probs_dropout_prob"}, 0);
  c.qkv_bias = reader.flag("qkv_bias", true);
  const Head head = head_of(reader, names, {{"classifier.weight", Head::sequence}});
  set_output(c, head, reader);
  c.output_place = OutputPlace::first;
  if (head == Head::none && names.has("pooler.dense.weight")) {
    c.transform = true;
    c.transform_activation = reader.activation({"pooler_act"}, "tanh");
    if (reader.size({"pooler_output_size"}, c.dim) != c.dim)
      reader.refuse("pooler_output_size", fmt::format("only hidden_size {} is supported", c.dim));
  }
  c.encoder_attention = alike_layers(c, c.layers);
  prune_layers(c.encoder_attention, reader);
  return c;
}

void vit_tensors(const Transformer& model, TensorNames& names) {
  const Config& c = model.config;
  const Stack& stack = model.encoder;
  const std::string prefix = c.output ? prefix_of(names, {"vit.", ""}, "embeddings.cls_token")
                                      : prefix_of(names, {"", "vit."}, "embeddings.cls_token");
  const std::string embeddings = prefix + "embeddings.";
  names.add(embeddings + "cls_token", stack.class_token, {1, 1, c.dim});
  names.add(embeddings + "position_embeddings", stack.positions, {1, c.positions, c.dim});
  names.add(embeddings + "patch_embeddings.projection.weight", stack.patches.weight,
            {c.dim, c.channels, c.patch, c.patch});
  names.add(embeddings + "patch_embeddings.projection.bias", stack.patches.bias);
  names.ignore(embeddings + "mask_token");
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}encoder.layer.{}.", prefix, i);
    const std::string self = layer + "attention.attention.";
    names.norm(layer + "layernorm_before", block.attention_norm);
    names.query_key_value(self + "query", self + "key", self + "value", block.attention);
    names.linear(layer + "attention.output.dense", block.attention.out);
    names.norm(layer + "layernorm_after", block.ffn_norm);
    names.linear(layer + "intermediate.dense", block.ffn.up);
    names.linear(layer + "output.dense", block.ffn.down);
  }
  names.norm(prefix + "layernorm", stack.final_norm);
  if (c.output) {
    names.linear("classifier", model.output);
    names.ignore_below(prefix + "pooler.");
  } else {
    names.linear(prefix + "pooler.dense", model.transform);
  }
}

}  // namespace

const Architecture kVit = {{"vit"}, vit_config, vit_tensors};

}  // namespace headlight::model
