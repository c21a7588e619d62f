// DistilBERT (Sanh et al. 2019).
#include <fmt/format.h>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

Config distilbert_config(const ConfigReader& reader, const TensorNames& names) {
  Config c;
  c.kind = Kind::encoder_only;
  c.vocabulary = reader.size({"vocab_size"}, 30522);
  c.dim = reader.size({"dim", "hidden_size"}, 768);
  c.layers = reader.size({"n_layers", "num_hidden_layers"}, 6);
  c.heads = reader.size({"n_heads", "num_attention_heads"}, 12);
  c.ffn = reader.size({"hidden_dim"}, 3072);
  // Sinusoids ("sinusoidal_pos_embds") are in the file like learned positions.
  c.positions = reader.size({"max_position_embeddings"}, 512);
  c.norm = Norm::layer;
  c.norm_place = NormPlace::post;
  c.norm_epsilon = 1e-12;
  c.embedding_norm = true;
  c.activation = reader.activation({"activation"}, "gelu");
  c.dropout = c.embedding_dropout = reader.number({"dropout"}, 0.1);
  c.attention_dropout = reader.number({"attention_dropout"}, 0.1);
  c.tied = reader.flag("tie_word_embeddings", true);
  const Head head = head_of(reader, names,
                            {{"vocab_transform.weight", Head::language},
                             {"qa_outputs.weight", Head::span},
                             {"pre_classifier.weight", Head::sequence},
                             {"classifier.weight", Head::token}});
  set_output(c, head, reader);
  c.transform = head == Head::language || head == Head::sequence;
  c.transform_norm = head == Head::language;
  c.transform_activation = head == Head::language ? c.activation : Activation::relu;
  c.encoder_attention = alike_layers(c, c.layers);
  prune_layers(c.encoder_attention, reader);
  return c;
}

void distilbert_tensors(const Transformer& model, TensorNames& names) {
  const Config& c = model.config;
  const Stack& stack = only_stack(model);
  const std::string prefix =
      prefix_of(names, {"distilbert.", ""}, "embeddings.word_embeddings.weight");
  names.add(prefix + "embeddings.word_embeddings.weight", stack.tokens);
  names.add(prefix + "embeddings.position_embeddings.weight", stack.positions);
  names.norm(prefix + "embeddings.LayerNorm", stack.embedding_norm);
  names.ignore(prefix + "embeddings.position_ids");
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}transformer.layer.{}.", prefix, i);
    const std::string self = layer + "attention.";
    names.query_key_value(self + "q_lin", self + "k_lin", self + "v_lin", block.attention);
    names.linear(self + "out_lin", block.attention.out);
    names.norm(layer + "sa_layer_norm", block.attention_norm);
    names.linear(layer + "ffn.lin1", block.ffn.up);
    names.linear(layer + "ffn.lin2", block.ffn.down);
    names.norm(layer + "output_layer_norm", block.ffn_norm);
  }
  if (!c.output) return;
  if (c.transform_norm) {
    names.linear("vocab_transform", model.transform);
    names.norm("vocab_layer_norm", model.transform_norm);
    names.add("vocab_projector.bias", model.output.bias);
    if (c.tied)
      names.ignore("vocab_projector.weight");
    else
      names.add("vocab_projector.weight", model.output.weight);
  } else {
    names.linear("pre_classifier", model.transform);
    names.linear(names.has("qa_outputs.weight") ? "qa_outputs" : "classifier", model.output);
  }
}

}  // namespace

const Architecture kDistilBert = {{"distilbert"}, distilbert_config, distilbert_tensors};

}  // namespace headlight::model
