// GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023).
#include <fmt/format.h>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

Config gpt_neox_config(const ConfigReader& reader, const TensorNames& names) {
  Config c;
  c.vocabulary = reader.size({"vocab_size"}, 50432);
  c.dim = reader.size({"hidden_size"}, 6144);
  c.layers = reader.size({"num_hidden_layers"}, 44);
  c.heads = reader.size({"num_attention_heads"}, 64);
  c.ffn = reader.size({"intermediate_size"}, 24576);
  c.positions = reader.size({"max_position_embeddings"}, 2048);
  c.norm = Norm::layer;
  c.norm_epsilon = reader.number({"layer_norm_eps"}, 1e-5);
  c.final_norm = true;
  c.activation = reader.activation({"hidden_act"}, "gelu");
  c.position = Position::rotary;
  c.parallel = reader.flag("use_parallel_residual", true);
  c.dropout = c.embedding_dropout = reader.number({"hidden_dropout"}, 0);
  c.attention_dropout = reader.number({"attention_dropout"}, 0);
  c.qkv_bias = c.attention_out_bias = reader.flag("attention_bias", true);
  c.tied = reader.flag("tie_word_embeddings", false);
  c.output_bias = false;
  set_decoder_output(c, reader, names,
                     {{"embed_out.weight", Head::language},
                      {"score.weight", Head::sequence},
                      {"classifier.weight", Head::token},
                      {"qa_outputs.weight", Head::span}});
  c.decoder_attention = alike_layers(c, c.layers);
  for (LayerHeads& layer : c.decoder_attention)
    read_rotary(reader, "full_attention", 10000, 0.25, c, layer);
  return c;
}

// Rows of the file: q, k and v of head 0, then of head 1, ...; ours: all q, all k, all v.
void packed(TensorNames& names, const std::string& name, const SelfAttention& attention) {
  const int64_t heads = attention.heads.heads, d = attention.heads.head_dim;
  const auto by_head = [&](const at::Tensor& t) {
    auto sizes = t.sizes().vec();
    sizes.front() = d;
    sizes.insert(sizes.begin(), {3, heads});
    return t.detach().view(sizes).transpose(0, 1);
  };
  const Linear& qkv = attention.qkv;
  names.add(name + ".weight", by_head(qkv.weight), qkv.weight.sizes().vec());
  if (qkv.bias.defined()) names.add(name + ".bias", by_head(qkv.bias), qkv.bias.sizes().vec());
}

void gpt_neox_tensors(const Transformer& model, TensorNames& names) {
  const std::string prefix = prefix_of(names, {"gpt_neox.", ""}, "embed_in.weight");
  const Stack& stack = model.decoder;
  names.add(prefix + "embed_in.weight", stack.tokens);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    names.norm(layer + "input_layernorm", block.attention_norm);
    packed(names, layer + "attention.query_key_value", block.attention);
    names.linear(layer + "attention.dense", block.attention.out);
    names.norm(layer + "post_attention_layernorm", block.ffn_norm);
    names.linear(layer + "mlp.dense_h_to_4h", block.ffn.up);
    names.linear(layer + "mlp.dense_4h_to_h", block.ffn.down);
    // Buffers of old files.
    for (const char* buffer : {"bias", "masked_bias", "rotary_emb.inv_freq"})
      names.ignore(layer + "attention." + buffer);
  }
  names.norm(prefix + "final_layer_norm", stack.final_norm);
  const Config& c = model.config;
  if (c.output && c.tied)
    names.ignore("embed_out.weight");
  else if (c.predicts_next)
    names.linear("embed_out", model.output);
  else if (c.output_place == OutputPlace::last)
    names.linear("score", model.output);
  else
    names.linear(names.has("qa_outputs.weight") ? "qa_outputs" : "classifier", model.output);
}

}  // namespace

const Architecture kGptNeox = {{"gpt_neox"}, gpt_neox_config, gpt_neox_tensors};

}  // namespace headlight::model
