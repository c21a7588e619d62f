// GPT-2 (Radford et al. 2019).
#include <fmt/format.h>

#include <cmath>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

Config gpt2_config(const ConfigReader& reader, const TensorNames& names) {
  reader.expect("add_cross_attention", false);
  Config c;
  c.vocabulary = reader.size({"vocab_size"}, 50257);
  c.dim = reader.size({"n_embd", "hidden_size"}, 768);
  c.layers = reader.size({"n_layer", "num_hidden_layers"}, 12);
  c.heads = reader.size({"n_head", "num_attention_heads"}, 12);
  c.ffn = reader.size({"n_inner"}, 4 * c.dim);
  c.positions = reader.size({"n_positions", "max_position_embeddings"}, 1024);
  c.norm = Norm::layer;
  c.norm_epsilon = reader.number({"layer_norm_epsilon"}, 1e-5);
  c.final_norm = true;
  c.activation = reader.activation({"activation_function"}, "gelu_new");
  c.dropout = reader.number({"resid_pdrop"}, 0.1);
  c.attention_dropout = reader.number({"attn_pdrop"}, 0.1);
  c.embedding_dropout = reader.number({"embd_pdrop"}, 0.1);
  c.tied = reader.flag("tie_word_embeddings", true);
  c.output_bias = false;
  set_decoder_output(c, reader, names,
                     {{"score.weight", Head::sequence},
                      {"classifier.weight", Head::token},
                      {"qa_outputs.weight", Head::span},
                      {"lm_head.weight", Head::language}});

  c.decoder_attention = alike_layers(c, c.layers);
  prune_layers(c.decoder_attention, reader);
  const bool by_layer = reader.flag("scale_attn_by_inverse_layer_idx", false);
  const bool scaled = reader.flag("scale_attn_weights", true);
  for (size_t i = 0; i < c.decoder_attention.size(); ++i) {
    LayerHeads& layer = c.decoder_attention[i];
    if (scaled && !by_layer) continue;
    layer.scale = scaled ? 1 / std::sqrt(static_cast<double>(layer.head_dim)) : 1;
    if (by_layer) layer.scale /= static_cast<double>(i + 1);
  }
  return c;
}

void gpt2_tensors(const Transformer& model, TensorNames& names) {
  // A bare GPT2Model has no prefix.
  const std::string prefix = prefix_of(names, {"transformer.", ""}, "wte.weight");
  const Stack& stack = model.decoder;
  names.add(prefix + "wte.weight", stack.tokens);
  names.add(prefix + "wpe.weight", stack.positions);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}h.{}.", prefix, i);
    names.norm(layer + "ln_1", block.attention_norm);
    // Columns q, k, v, head by head: the order of our rows.
    names.linear_transposed(layer + "attn.c_attn", block.attention.qkv);
    names.linear_transposed(layer + "attn.c_proj", block.attention.out);
    names.norm(layer + "ln_2", block.ffn_norm);
    names.linear_transposed(layer + "mlp.c_fc", block.ffn.up);
    names.linear_transposed(layer + "mlp.c_proj", block.ffn.down);
    // Old files keep the causal mask as if it were a weight.
    names.ignore(layer + "attn.bias");
    names.ignore(layer + "attn.masked_bias");
  }
  names.norm(prefix + "ln_f", stack.final_norm);
  const Config& c = model.config;
  if (!c.output || c.tied)
    names.ignore("lm_head.weight");
  else if (c.predicts_next)
    names.add("lm_head.weight", model.output.weight);
  else if (c.output_place == OutputPlace::last)
    names.add("score.weight", model.output.weight);
  else
    names.linear(names.has("qa_outputs.weight") ? "qa_outputs" : "classifier", model.output);
}

}  // namespace

const Architecture kGpt2 = {{"gpt2"}, gpt2_config, gpt2_tensors};

}  // namespace headlight::model
