// T5 (Raffel et al. 2020) and its gated variant T5 1.1.
#include <fmt/format.h>

#include <cmath>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

// "relu", "gated-gelu", ...
Activation feed_forward(const ConfigReader& reader) {
  const std::string name = reader.text("feed_forward_proj", "relu");
  const bool is_gated = name.starts_with("gated-");
  // The gated gelu of T5 1.1 is the tanh form.
  const std::string inner = name == "gated-gelu" ? "gelu_new" : is_gated ? name.substr(6) : name;
  const ConfigReader only({{"feed_forward_proj", inner}}, reader.where());
  const Activation activation = only.activation({"feed_forward_proj"}, "relu");
  return is_gated ? gated(activation, reader) : activation;
}

Config t5_config(const ConfigReader& reader, const TensorNames& names) {
  Config c;
  // The encoder alone has an architecture of its own.
  const bool both = reader.architecture() != "T5EncoderModel";
  c.kind = both ? Kind::encoder_decoder : Kind::encoder_only;
  c.vocabulary = reader.size({"vocab_size"}, 32128);
  c.shared_tokens = both;
  c.dim = reader.size({"d_model"}, 512);
  c.head_dim = reader.size({"d_kv"}, 64);
  c.ffn = reader.size({"d_ff"}, 2048);
  c.layers = reader.size({"num_layers"}, 6);
  if (both) c.decoder_layers = reader.size({"num_decoder_layers"}, c.layers);
  c.heads = reader.size({"num_heads"}, 8);
  c.positions = reader.size({"n_positions"}, 512);  // any length can be read
  c.norm = Norm::rms;
  c.norm_epsilon = reader.number({"layer_norm_epsilon"}, 1e-6);
  c.final_norm = true;
  c.activation = feed_forward(reader);
  c.position = Position::relative;
  c.relative_buckets = reader.size({"relative_attention_num_buckets"}, 32);
  c.relative_distance = reader.size({"relative_attention_max_distance"}, 128);
  c.dropout = c.attention_dropout = c.embedding_dropout = reader.number({"dropout_rate"}, 0.1);
  c.linear_bias = c.output_bias = false;
  const Head head = head_of(reader, names, {{"lm_head.weight", Head::language}});
  if (head != Head::language && head != Head::none)
    reader.refuse("architectures",
                  "supported are the base model, the encoder alone and the one "
                  "for generation");
  set_output(c, head, reader);
  c.tied = !names.has("lm_head.weight");
  // Configs that do not say it mean it by tying.
  if (reader.flag("scale_decoder_outputs", reader.flag("tie_word_embeddings", true)))
    c.output_scale = 1 / std::sqrt(static_cast<double>(c.dim));
  c.start_token = reader.integer("decoder_start_token_id", reader.integer("pad_token_id", 0));
  c.end_tokens = reader.integers("eos_token_id");
  c.encoder_attention = alike_layers(c, c.layers);
  if (both) c.decoder_attention = c.cross_attention = alike_layers(c, c.decoder_layers);
  for (auto* layers : {&c.encoder_attention, &c.decoder_attention, &c.cross_attention})
    for (LayerHeads& layer : *layers) layer.scale = 1;
  return c;
}

void attention_tensors(const std::string& name, const auto& attention, TensorNames& names) {
  names.query_key_value(name + "q", name + "k", name + "v", attention);
  names.linear(name + "o", attention.out);
}

void stack_tensors(const Stack& stack, const std::string& name, bool is_gated, bool crosses,
                   TensorNames& names) {
  names.add(name + "block.0.layer.0.SelfAttention.relative_attention_bias.weight", stack.relative);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}block.{}.layer.", name, i);
    names.norm(layer + "0.layer_norm", block.attention_norm);
    attention_tensors(layer + "0.SelfAttention.", block.attention, names);
    if (crosses) {
      names.norm(layer + "1.layer_norm", block.cross_norm);
      attention_tensors(layer + "1.EncDecAttention.", block.cross, names);
      // Files of 2020 have a table here that nothing reads.
      names.ignore(layer + "1.EncDecAttention.relative_attention_bias.weight");
    }
    const std::string part = layer + (crosses ? "2." : "1.");
    const std::string dense = part + "DenseReluDense.";
    names.norm(part + "layer_norm", block.ffn_norm);
    if (is_gated)
      names.gate_and_up(dense + "wi_0", dense + "wi_1", block.ffn.up);
    else
      names.linear(dense + "wi", block.ffn.up);
    names.linear(dense + "wo", block.ffn.down);
  }
  names.norm(name + "final_layer_norm", stack.final_norm);
}

void t5_tensors(const Transformer& model, TensorNames& names) {
  const Config& c = model.config;
  const bool both = c.kind == Kind::encoder_decoder;
  const bool own = !names.has("shared.weight") && names.has("encoder.embed_tokens.weight");
  names.add(own ? "encoder.embed_tokens.weight" : "shared.weight", model.encoder.tokens);
  for (const char* copy : {"shared", "encoder.embed_tokens", "decoder.embed_tokens"})
    names.ignore(copy + std::string(".weight"));
  stack_tensors(model.encoder, "encoder.", is_gated(c.activation), false, names);
  if (both) stack_tensors(model.decoder, "decoder.", is_gated(c.activation), true, names);
  if (!both) names.ignore_below("decoder.");
  if (c.output && !c.tied)
    names.add("lm_head.weight", model.output.weight);
  else
    names.ignore("lm_head.weight");
}

}  // namespace

const Architecture kT5 = {{"t5"}, t5_config, t5_tensors};

}  // namespace headlight::model
