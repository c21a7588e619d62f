// Llama (Touvron et al. 2023) and its relatives Mistral, Qwen 2 and Qwen 3.
#include <fmt/format.h>

#include "model/architecture/architecture.h"
#include "model/architecture/parts.h"
#include "text/learned_pieces.h"

namespace headlight::model {
namespace {

bool is_qwen_window(const ConfigReader& reader, int64_t layer) {
  return layer >= reader.integer("max_window_layers", 28);
}

// 0: no window.
int64_t window_of(const ConfigReader& reader, const std::string& type) {
  if (type == "llama") return 0;
  // Absent is not null: old files leave the default out.
  if (type == "mistral")
    return reader.has("sliding_window") || reader.is_null("sliding_window")
               ? reader.size({"sliding_window"}, 0)
               : 4096;
  return reader.flag("use_sliding_window", false) ? reader.size({"sliding_window"}, 4096) : 0;
}

Config llama_config(const ConfigReader& reader, const TensorNames& names) {
  const std::string type = reader.text("model_type", "llama");
  const bool qwen = type.starts_with("qwen");
  Config c;
  c.vocabulary = reader.size({"vocab_size"}, qwen ? 151936 : 32000);
  c.dim = reader.size({"hidden_size"}, 4096);
  c.layers = reader.size({"num_hidden_layers"}, 32);
  c.heads = reader.size({"num_attention_heads"}, 32);
  c.kv_heads =
      reader.size({"num_key_value_heads"},
                  type == "mistral" && !reader.is_null("num_key_value_heads") ? 8 : c.heads);
  c.head_dim = reader.size({"head_dim"}, type == "qwen3" ? 128 : 0);
  c.ffn = reader.size({"intermediate_size"});
  c.positions = reader.size({"max_position_embeddings"}, type == "llama" ? 2048 : 32768);
  c.norm = Norm::rms;
  c.norm_epsilon = reader.number({"rms_norm_eps"}, 1e-6);
  c.final_norm = true;
  c.activation = gated(reader.activation({"hidden_act"}, "silu"), reader);
  c.position = Position::rotary;
  c.attention_dropout = reader.number({"attention_dropout"}, 0);
  c.tied = reader.flag("tie_word_embeddings", false);
  c.attention_out_bias =
      (type == "llama" || type == "qwen3") && reader.flag("attention_bias", false);
  c.qkv_bias = c.attention_out_bias || type == "qwen2";
  c.ffn_bias = type == "llama" && reader.flag("mlp_bias", false);
  c.query_key_norm = type == "qwen3";
  c.output_bias = false;
  const Head head = set_decoder_output(
      c, reader, names, {{"lm_head.weight", Head::language}, {"score.weight", Head::sequence}});
  if (head == Head::span) reader.refuse("architectures", "question answering is not supported");

  c.decoder_attention = alike_layers(c, c.layers);
  const int64_t window = window_of(reader, type);
  const std::vector<bool> windowed = qwen && window > 0
                                         ? windowed_layers(reader, c.layers, is_qwen_window)
                                         : std::vector<bool>(c.decoder_attention.size(), true);
  for (size_t i = 0; i < c.decoder_attention.size(); ++i) {
    LayerHeads& layer = c.decoder_attention[i];
    layer.window = windowed[i] ? window : 0;
    read_rotary(reader, "full_attention", 10000, 1, c, layer);
  }
  return c;
}

void llama_tensors(const Transformer& model, TensorNames& names) {
  const std::string prefix = prefix_of(names, {"model.", ""}, "embed_tokens.weight");
  const Stack& stack = model.decoder;
  names.add(prefix + "embed_tokens.weight", stack.tokens);
  for (size_t i = 0; i < stack.blocks.size(); ++i) {
    const Block& block = stack.blocks[i];
    const std::string layer = fmt::format("{}layers.{}.", prefix, i);
    const std::string self = layer + "self_attn.";
    names.norm(layer + "input_layernorm", block.attention_norm);
    names.query_key_value(self + "q_proj", self + "k_proj", self + "v_proj", block.attention);
    names.norm(self + "q_norm", block.attention.query_norm);
    names.norm(self + "k_norm", block.attention.key_norm);
    names.linear(self + "o_proj", block.attention.out);
    names.norm(layer + "post_attention_layernorm", block.ffn_norm);
    names.gate_and_up(layer + "mlp.gate_proj", layer + "mlp.up_proj", block.ffn.up);
    names.linear(layer + "mlp.down_proj", block.ffn.down);
    names.ignore(self + "rotary_emb.inv_freq");
  }
  names.norm(prefix + "norm", stack.final_norm);
  const Config& c = model.config;
  if (c.output && c.tied)
    names.ignore("lm_head.weight");
  else if (c.predicts_next)
    names.linear("lm_head", model.output);
  else
    names.linear("score", model.output);
}

nlohmann::json llama_json(const Config& c) {
  return {{"model_type", "llama"},
          {"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", c.vocabulary},
          {"hidden_size", c.dim},
          {"intermediate_size", c.ffn},
          {"num_hidden_layers", c.layers},
          {"num_attention_heads", c.heads},
          {"num_key_value_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"hidden_act", "silu"},
          {"max_position_embeddings", c.positions},
          {"rms_norm_eps", c.norm_epsilon},
          {"rope_theta", c.rotary_theta},  // before transformers 5
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", c.rotary_theta}}},
          {"attention_bias", c.qkv_bias},
          {"mlp_bias", c.ffn_bias},
          {"tie_word_embeddings", c.tied},
          {"attention_dropout", c.attention_dropout},
          {"pad_token_id", text::kPadding},
          {"bos_token_id", text::kBegin},
          {"eos_token_id", one_or_all(c.end_tokens)}};
}

}  // namespace

const Architecture kLlama = {
    {"llama", "mistral", "qwen2", "qwen3"}, llama_config, llama_tensors, llama_json};

}  // namespace headlight::model
