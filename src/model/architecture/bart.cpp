// BART (Lewis et al. 2020), Marian (Junczys-Dowmunt et al. 2018) and Pegasus (Zhang et al. 2020).
#include <fmt/format.h>

#include <cmath>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"
#include "text/learned_pieces.h"

namespace headlight::model {
namespace {

Config bart_config(const ConfigReader& reader, const TensorNames& names) {
  const std::string type = reader.text("model_type", "bart");
  const bool bart = type == "bart", marian = type == "marian", pegasus = type == "pegasus";
  // Words of old files for the places of norms.
  for (const char* key : {"normalize_before", "add_final_layer_norm"}) reader.expect(key, pegasus);
  reader.expect("is_encoder_decoder", true);
  Config c;
  c.kind = Kind::encoder_decoder;
  c.vocabulary = reader.size({"vocab_size"}, marian ? 58101 : 50265);
  c.source_vocabulary = c.vocabulary;
  c.tied = reader.flag("tie_word_embeddings", true);
  // transformers 5 unties all tables at once, and then writes each.
  const auto writes = [&](const std::string& tensor) {
    return names.has(tensor) || names.has("model." + tensor);
  };
  const bool each =
      !c.tied && writes("encoder.embed_tokens.weight") && writes("decoder.embed_tokens.weight");
  const bool two = marian && !reader.flag("share_encoder_decoder_embeddings", true);
  if (two) c.vocabulary = reader.size({"decoder_vocab_size"}, c.vocabulary);
  c.shared_tokens = !two && !each;
  c.dim = reader.size({"d_model"}, 1024);
  c.layers = reader.size({"encoder_layers"}, 12);
  c.decoder_layers = reader.size({"decoder_layers"}, 12);
  c.ffn = reader.size({"encoder_ffn_dim"}, 4096);
  c.decoder_ffn = reader.size({"decoder_ffn_dim"}, 4096);
  c.positions = reader.size({"max_position_embeddings"}, 1024);
  c.position = bart ? Position::learned : Position::sinusoidal_halves;
  c.position_offset = bart ? 2 : 0;
  c.norm = Norm::layer;
  c.norm_place = pegasus ? NormPlace::pre : NormPlace::post;
  c.norm_epsilon = 1e-5;
  c.embedding_norm = bart;
  c.final_norm = pegasus;
  c.activation = reader.activation({"activation_function"}, "gelu");
  c.dropout = c.embedding_dropout = reader.number({"dropout"}, 0.1);
  c.attention_dropout = reader.number({"attention_dropout"}, 0);
  if (reader.flag("scale_embedding", false))
    c.embedding_scale = std::sqrt(static_cast<double>(c.dim));
  c.output_bias = names.has("final_logits_bias");
  c.start_token = reader.integer("decoder_start_token_id", marian ? 58100 : pegasus ? 0 : 2);
  c.end_tokens = reader.integers("eos_token_id");
  const Head head = head_of(reader, names, {{"final_logits_bias", Head::language}});
  if (head != Head::language && head != Head::none)
    reader.refuse("architectures", "supported are the base model and the one for generation");
  set_output(c, head, reader);

  c.heads = reader.size({"decoder_attention_heads"}, 16);
  c.decoder_attention = c.cross_attention = alike_layers(c, c.decoder_layers);
  c.heads = reader.size({"encoder_attention_heads"}, 16);
  c.encoder_attention = alike_layers(c, c.layers);
  for (const auto& [key, heads] : {std::pair{"encoder_attention_heads", c.heads},
                                   {"decoder_attention_heads", c.decoder_attention[0].heads}})
    if (c.dim % heads != 0)
      reader.refuse(key, fmt::format("it must divide d_model {} evenly", c.dim));
  return c;
}

void stack_tensors(const Stack& stack, const std::string& name, TensorNames& names) {
  // Sinusoids are in files of Pegasus, and in old ones of Marian.
  const std::string positions = name + "embed_positions.weight";
  if (stack.positions.requires_grad() || names.has(positions))
    names.add(positions, stack.positions);
  names.norm(name + "layernorm_embedding", stack.embedding_norm);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}layers.{}.", name, i);
    const std::string self = layer + "self_attn.", cross = layer + "encoder_attn.";
    names.query_key_value(self + "q_proj", self + "k_proj", self + "v_proj", block.attention);
    names.linear(self + "out_proj", block.attention.out);
    names.norm(layer + "self_attn_layer_norm", block.attention_norm);
    if (block.cross.query.weight.defined()) {
      names.query_key_value(cross + "q_proj", cross + "k_proj", cross + "v_proj", block.cross);
      names.linear(cross + "out_proj", block.cross.out);
      names.norm(layer + "encoder_attn_layer_norm", block.cross_norm);
    }
    names.linear(layer + "fc1", block.ffn.up);
    names.linear(layer + "fc2", block.ffn.down);
    names.norm(layer + "final_layer_norm", block.ffn_norm);
  }
  names.norm(name + "layer_norm", stack.final_norm);
}

void bart_tensors(const Transformer& model, TensorNames& names) {
  const Config& c = model.config;
  const std::string prefix =
      prefix_of(names, {"model.", ""}, "encoder.layers.0.self_attn.k_proj.weight");
  const std::string encoder = prefix + "encoder.", decoder = prefix + "decoder.";
  const std::string tokens = "embed_tokens.weight";
  if (c.shared_tokens) {
    const std::string shared = prefix + "shared.weight";
    const bool own = !names.has(shared) && names.has(encoder + tokens);
    names.add(own ? encoder + tokens : shared, model.encoder.tokens);
    for (const std::string& copy : {shared, encoder + tokens, decoder + tokens}) names.ignore(copy);
  } else {
    names.add(encoder + tokens, model.encoder.tokens);
    names.add(decoder + tokens, model.decoder.tokens);
    names.ignore(prefix + "shared.weight");
  }
  stack_tensors(model.encoder, encoder, names);
  stack_tensors(model.decoder, decoder, names);
  if (!c.output) return;
  names.add("final_logits_bias", model.output.bias, {1, c.classes});
  if (c.tied)
    names.ignore("lm_head.weight");
  else
    names.add("lm_head.weight", model.output.weight);
}

nlohmann::json pegasus_json(const Config& c) {
  return {{"model_type", "pegasus"},
          {"architectures", {"PegasusForConditionalGeneration"}},
          {"is_encoder_decoder", true},
          {"vocab_size", c.vocabulary},
          {"d_model", c.dim},
          {"encoder_layers", c.layers},
          {"decoder_layers", c.decoder_layers},
          {"encoder_attention_heads", c.heads},
          {"decoder_attention_heads", c.heads},
          {"encoder_ffn_dim", c.ffn},
          {"decoder_ffn_dim", c.decoder_ffn},
          {"activation_function", "relu"},
          {"max_position_embeddings", c.positions},
          {"scale_embedding", c.embedding_scale != 1},
          {"tie_word_embeddings", c.tied},
          {"dropout", c.dropout},
          {"attention_dropout", c.attention_dropout},
          {"pad_token_id", text::kPadding},
          {"bos_token_id", text::kBegin},
          {"eos_token_id", one_or_all(c.end_tokens)},
          {"decoder_start_token_id", c.start_token},
          // The default of this type would end every text that is too long with an end token.
          {"forced_eos_token_id", nullptr}};
}

}  // namespace

const Architecture kBart = {{"bart", "marian"}, bart_config, bart_tensors};
const Architecture kPegasus = {{"pegasus"}, bart_config, bart_tensors, pegasus_json};

}  // namespace headlight::model
