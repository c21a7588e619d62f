// BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019).
#include <fmt/format.h>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"

namespace headlight::model {
namespace {

bool is_roberta(const ConfigReader& reader) { return reader.text("model_type", "bert") != "bert"; }

Config bert_config(const ConfigReader& reader, const TensorNames& names) {
  const bool roberta = is_roberta(reader);
  reader.expect("position_embedding_type", "absolute");
  reader.expect("add_cross_attention", false);
  Config c;
  // A causal BERT is a decoder with the same parts.
  c.kind = reader.flag("is_decoder", false) ? Kind::decoder_only : Kind::encoder_only;
  c.vocabulary = reader.size({"vocab_size"}, 30522);
  c.dim = reader.size({"hidden_size"}, 768);
  c.layers = reader.size({"num_hidden_layers"}, 12);
  c.heads = reader.size({"num_attention_heads"}, 12);
  c.ffn = reader.size({"intermediate_size"}, 3072);
  c.positions = reader.size({"max_position_embeddings"}, 512);
  if (roberta) {
    c.padding_token = reader.integer("pad_token_id", 1);
    if (c.padding_token < 0) reader.refuse("pad_token_id", "positions are counted from it");
    c.positions -= c.padding_token + 1;
    if (c.positions < 1) reader.refuse("max_position_embeddings", "it leaves no position");
  }
  c.token_types = reader.size({"type_vocab_size"}, 2);
  c.norm = Norm::layer;
  c.norm_place = NormPlace::post;
  c.norm_epsilon = reader.number({"layer_norm_eps"}, 1e-12);
  c.embedding_norm = true;
  c.activation = reader.activation({"hidden_act"}, "gelu");
  c.dropout = c.embedding_dropout = reader.number({"hidden_dropout_prob"}, 0.1);
  c.attention_dropout = reader.number({"attention_probs_dropout_prob"}, 0.1);
  c.tied = reader.flag("tie_word_embeddings", true);
  c.end_tokens = reader.integers("eos_token_id");

  const Head head =
      head_of(reader, names,
              {{"cls.predictions.transform.dense.weight", Head::language},
               {"lm_head.dense.weight", Head::language},
               {"qa_outputs.weight", Head::span},
               {"classifier.out_proj.weight", Head::sequence},
               {"classifier.weight",
                names.has("bert.pooler.dense.weight") ? Head::sequence : Head::token}});
  const std::string name = reader.architecture();
  c.predicts_next = name.ends_with("ForCausalLM") || name.ends_with("LMHeadModel");
  set_output(c, head, reader);
  if (head == Head::language) {
    c.transform = c.transform_norm = true;
    c.transform_activation = roberta ? Activation::gelu : c.activation;
  } else if (head == Head::sequence || (head == Head::none && names.has("pooler.dense.weight"))) {
    c.transform = true;
    c.transform_activation = Activation::tanh;
    c.output_place = OutputPlace::first;
  }
  auto layers = alike_layers(c, c.layers);
  prune_layers(layers, reader);
  (c.kind == Kind::encoder_only ? c.encoder_attention : c.decoder_attention) = std::move(layers);
  return c;
}

void head_tensors(const Transformer& model, TensorNames& names, bool roberta,
                  const std::string& prefix) {
  const Config& c = model.config;
  const std::string pooler = prefix + "pooler.dense";
  if (!c.output) {
    names.linear(pooler, model.transform);
  } else if (c.transform_norm) {
    const std::string head = roberta ? "lm_head" : "cls.predictions";
    names.linear(roberta ? "lm_head.dense" : "cls.predictions.transform.dense", model.transform);
    names.norm(roberta ? "lm_head.layer_norm" : "cls.predictions.transform.LayerNorm",
               model.transform_norm);
    if (c.tied)
      names.ignore(head + ".decoder.weight");
    else
      names.add(head + ".decoder.weight", model.output.weight);
    // Two names of one bias; files that are not tied may hold both, and this one is in use.
    const bool own = !c.tied && names.has(head + ".decoder.bias");
    names.add(head + (own ? ".decoder.bias" : ".bias"), model.output.bias);
    names.ignore(head + (own ? ".bias" : ".decoder.bias"));
    names.ignore_below("cls.seq_relationship.");
    names.ignore_below(prefix + "pooler.");
  } else if (c.output_place == OutputPlace::every) {
    names.linear(names.has("qa_outputs.weight") ? "qa_outputs" : "classifier", model.output);
    names.ignore_below(prefix + "pooler.");
  } else {
    names.linear(roberta ? "classifier.dense" : pooler, model.transform);
    names.linear(roberta ? "classifier.out_proj" : "classifier", model.output);
    if (roberta) names.ignore_below(prefix + "pooler.");
  }
}

void bert_tensors(const Transformer& model, TensorNames& names) {
  const bool roberta = model.config.padding_token >= 0;
  const std::string prefix =
      prefix_of(names, {roberta ? "roberta." : "bert.", ""}, "embeddings.word_embeddings.weight");
  const Stack& stack = only_stack(model);
  const std::string embeddings = prefix + "embeddings.";
  names.add(embeddings + "word_embeddings.weight", stack.tokens);
  names.add(embeddings + "position_embeddings.weight", stack.positions);
  names.add(embeddings + "token_type_embeddings.weight", stack.token_types);
  names.norm(embeddings + "LayerNorm", stack.embedding_norm);
  names.ignore(embeddings + "position_ids");
  names.ignore(embeddings + "token_type_ids");
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}encoder.layer.{}.", prefix, i);
    const std::string self = layer + "attention.self.";
    names.query_key_value(self + "query", self + "key", self + "value", block.attention);
    names.linear(layer + "attention.output.dense", block.attention.out);
    names.norm(layer + "attention.output.LayerNorm", block.attention_norm);
    names.linear(layer + "intermediate.dense", block.ffn.up);
    names.linear(layer + "output.dense", block.ffn.down);
    names.norm(layer + "output.LayerNorm", block.ffn_norm);
  }
  head_tensors(model, names, roberta, prefix);
}

}  // namespace

const Architecture kBert = {{"bert", "roberta"}, bert_config, bert_tensors};

}  // namespace headlight::model
