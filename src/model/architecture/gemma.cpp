// Gemma 2 and Gemma 3 (Gemma Team 2024, 2025), the text models.
#include <fmt/format.h>

#include <cmath>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

bool is_alternate_window(const ConfigReader&, int64_t layer) { return layer % 2 == 0; }

bool is_pattern_window(const ConfigReader& reader, int64_t layer) {
  const int64_t pattern = reader.size({"sliding_window_pattern", "_sliding_window_pattern"}, 6);
  return (layer + 1) % pattern != 0;
}

Config gemma_config(const ConfigReader& reader, const TensorNames& names) {
  const bool third = reader.text("model_type", "gemma2") == "gemma3_text";
  if (reader.flag("use_bidirectional_attention", false))
    reader.refuse("use_bidirectional_attention", "only causal attention is supported");
  Config c;
  c.vocabulary = reader.size({"vocab_size"}, third ? 262208 : 256000);
  c.dim = reader.size({"hidden_size"}, 2304);
  c.layers = reader.size({"num_hidden_layers"}, 26);
  c.heads = reader.size({"num_attention_heads"}, 8);
  c.kv_heads = reader.size({"num_key_value_heads"}, 4);
  c.head_dim = reader.size({"head_dim"}, 256);
  c.ffn = reader.size({"intermediate_size"}, 9216);
  c.positions = reader.size({"max_position_embeddings"}, third ? 131072 : 8192);
  c.norm = Norm::rms;
  c.norm_place = NormPlace::both;
  c.norm_epsilon = reader.number({"rms_norm_eps"}, 1e-6);
  c.final_norm = true;
  c.activation = gated(reader.activation({"hidden_activation"}, "gelu_pytorch_tanh"), reader);
  c.position = Position::rotary;
  c.attention_dropout = reader.number({"attention_dropout"}, 0);
  c.tied = reader.flag("tie_word_embeddings", true);
  c.qkv_bias = c.attention_out_bias = reader.flag("attention_bias", false);
  c.ffn_bias = c.output_bias = false;
  c.query_key_norm = third;
  c.embedding_scale = std::sqrt(static_cast<double>(c.dim));
  // An explicit null is no cap.
  const auto cap = [&](const char* key, double otherwise) {
    return reader.number({key}, reader.is_null(key) || third ? 0 : otherwise);
  };
  c.score_softcap = cap("attn_logit_softcapping", 50);
  c.output_softcap = cap("final_logit_softcapping", 30);
  const Head head = set_decoder_output(
      c, reader, names, {{"lm_head.weight", Head::language}, {"score.weight", Head::sequence}});
  if (head == Head::span) reader.refuse("architectures", "question answering is not supported");
  if (head != Head::language) c.output_softcap = 0;

  const double pre = reader.number({"query_pre_attn_scalar"}, 256);
  if (!(pre > 0)) reader.refuse("query_pre_attn_scalar", "it must be positive");
  const int64_t window =
      reader.size({"sliding_window"}, reader.is_null("sliding_window") ? 0 : 4096);
  const std::vector<bool> windowed =
      windowed_layers(reader, c.layers, third ? is_pattern_window : is_alternate_window);
  c.decoder_attention = alike_layers(c, c.layers);
  for (size_t i = 0; i < c.decoder_attention.size(); ++i) {
    LayerHeads& layer = c.decoder_attention[i];
    layer.scale = 1 / std::sqrt(pre);
    layer.window = windowed[i] ? window : 0;
    if (third && windowed[i] && !reader.has("rope_parameters"))
      layer.rotary_theta = reader.number({"rope_local_base_freq"}, 10000);
    else if (third)
      read_rotary(reader, windowed[i] ? "sliding_attention" : "full_attention",
                  windowed[i] ? 10000 : 1'000'000, 1, c, layer);
    else
      read_rotary(reader, "", 10000, 1, c, layer);
  }
  return c;
}

void gemma_tensors(const Transformer& model, TensorNames& names) {
  const std::string prefix = prefix_of(names, {"model.", ""}, "embed_tokens.weight");
  const Stack& stack = model.decoder;
  // Gains are kept less 1.
  const auto norm = [&](const std::string& name, const NormWeights& weights) {
    names.add(name + ".weight", weights.gain, 1);
  };
  names.add(prefix + "embed_tokens.weight", stack.tokens);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    const std::string self = layer + "self_attn.";
    norm(layer + "input_layernorm", block.attention_norm);
    names.query_key_value(self + "q_proj", self + "k_proj", self + "v_proj", block.attention);
    norm(self + "q_norm", block.attention.query_norm);
    norm(self + "k_norm", block.attention.key_norm);
    names.linear(self + "o_proj", block.attention.out);
    norm(layer + "post_attention_layernorm", block.attention_post_norm);
    norm(layer + "pre_feedforward_layernorm", block.ffn_norm);
    names.gate_and_up(layer + "mlp.gate_proj", layer + "mlp.up_proj", block.ffn.up);
    names.linear(layer + "mlp.down_proj", block.ffn.down);
    norm(layer + "post_feedforward_layernorm", block.ffn_post_norm);
    names.ignore(self + "rotary_emb.inv_freq");
  }
  norm(prefix + "norm", stack.final_norm);
  if (model.config.output && model.config.tied)
    names.ignore("lm_head.weight");
  else
    names.linear(model.config.predicts_next ? "lm_head" : "score", model.output);
}

}  // namespace

const Architecture kGemma = {{"gemma2", "gemma3_text"}, gemma_config, gemma_tensors};

}  // namespace headlight::model
