// What a Transformer is made of: every choice in one value.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace headlight::model {

enum class Kind { decoder_only, encoder_only, encoder_decoder };
enum class Norm { layer, rms };
// both: each part reads its normalised input, and its output is normalised before it joins.
enum class NormPlace { pre, post, both };
// The glu's multiply with one more matrix in the feed-forward part: swiglu is silu(gate) * up.
enum class Activation {
  relu,
  gelu,
  gelu_tanh,
  silu,
  swiglu,
  reglu,
  geglu,
  geglu_tanh,
  quick_gelu,
  tanh
};
// sinusoidal: sines and cosines in turn; sinusoidal_halves: all sines, then all cosines.
// relative: a learned bias of the scores by distance (T5).
enum class Position { learned, sinusoidal, rotary, none, sinusoidal_halves, relative };
// Which tokens the output layer reads: every one, the first, or the last that is not padding.
enum class OutputPlace { every, first, last };

bool is_gated(Activation activation);

// How rotary angles are stretched beyond the length that a model was trained at.
struct RotaryScaling {
  enum class Kind { none, linear, dynamic, llama3, yarn };
  Kind kind = Kind::none;
  double factor = 1;
  int64_t original_positions = 0;  // dynamic, llama3, yarn
  double low = 1, high = 4;        // llama3: low_freq_factor, high_freq_factor
  double beta_fast = 32, beta_slow = 1, attention_factor = 1;  // yarn
  bool truncate = true;                                        // yarn: whole pairs

  bool operator==(const RotaryScaling&) const = default;
};

// The attention of one layer.
struct LayerHeads {
  int64_t heads = 1;  // 0 where pruning left none
  int64_t kv_heads = 1;
  int64_t head_dim = 1;
  double scale = 0;    // of the scores; 0: 1 / sqrt(head_dim)
  int64_t window = 0;  // how many keys a query of a causal layer sees, itself included; 0: all
  double rotary_theta = 10000;
  RotaryScaling rotary_scaling;
  // Which heads these are of the model that they were cut from; empty: 0, 1, 2, ...
  std::vector<int64_t> numbers;

  bool operator==(const LayerHeads&) const = default;
};

// The attention of an encoder, of a decoder to itself, and of a decoder to its encoder.
enum class Part { encoder, decoder, cross };

// A 0 marked "0: …" stands for what follows; completed() fills it in.
struct Config {
  Kind kind = Kind::decoder_only;
  // Of the tokens (encoder_decoder: of the target); an encoder_only of images has none.
  int64_t vocabulary = 0;
  int64_t source_vocabulary = 0;  // encoder_decoder only; 0: vocabulary, or none with patches
  int64_t classes = 0;            // width of the output; 0: vocabulary
  int64_t dim = 32;
  int64_t layers = 1;          // encoder_decoder: of the encoder
  int64_t decoder_layers = 0;  // encoder_decoder only; 0: layers
  int64_t heads = 1;
  int64_t kv_heads = 0;   // divides heads; 0: heads
  int64_t head_dim = 0;   // 0: dim / heads
  int64_t ffn = 64;       // width of the feed-forward part
  int64_t positions = 0;  // longest sequence of tokens, source and target, or image_places()
  Norm norm = Norm::rms;
  NormPlace norm_place = NormPlace::pre;
  double norm_epsilon = 1e-6;
  bool norm_bias = true;    // of Norm::layer; Norm::rms has none
  bool final_norm = false;  // after the last layer of every stack
  Activation activation = Activation::relu;
  Position position = Position::learned;
  double rotary_theta = 10000;   // Position::rotary; turns the two halves of a head
  double dropout = 0;            // of every branch before it joins the residual stream
  double attention_dropout = 0;  // of attention weights
  double embedding_dropout = 0;  // of the sum of token and position embedding
  bool tied = false;             // the output layer is the token embedding
  bool linear_bias = true;       // of every linear layer but the output
  bool output_bias = true;
  bool causal = true;  // self-attention of a decoder; an encoder never is

  // What only models from elsewhere need; config.json says it where it is not the default.
  // Layers that are not all alike: one entry a layer, or none where all are as said above.
  std::vector<LayerHeads> encoder_attention, decoder_attention, cross_attention;
  int64_t decoder_ffn = 0;         // encoder_decoder only; 0: ffn
  bool parallel = false;           // attention and feed-forward part read the same stream
  bool query_key_norm = false;     // RMS norm of every q and k, before they are turned
  bool qkv_bias = true;            // with linear_bias, of the projections to q, k and v,
  bool attention_out_bias = true;  // of the one behind attention,
  bool ffn_bias = true;            // and of the feed-forward part
  double score_softcap = 0;        // c tanh(score / c); 0: none
  int64_t rotary_width = 0;        // how many elements of a head turn; 0: all
  int64_t relative_buckets = 0;    // Position::relative
  int64_t relative_distance = 0;   // distances from there on share a bucket
  int64_t position_offset = 0;     // Position::learned: the row of the first place (bart)
  int64_t padding_token = -1;  // positions count tokens other than this one from it on (roberta)
  int64_t token_types = 0;     // rows of the table of token types
  // How many tokens are read as one place: the sum of their embeddings, each times the mask of its
  // place in the sentence (Sukhbaatar et al. 2015, Dehghani et al. 2018); 0: a token is a place.
  int64_t sentence_tokens = 0;
  // The layers work on the first place alone; the others are a memory that it reads, as embedded
  // (Sukhbaatar et al. 2015).
  bool only_first_attends = false;
  bool shared_layers = false;  // all layers of a stack have the same weights (Dehghani et al. 2018)
  double embedding_scale = 1;  // of token embeddings, before positions join
  bool embedding_norm = false;
  bool shared_tokens = false;  // encoder and decoder read the same token table
  // The encoder reads images instead of tokens: squares of patch * patch pixels behind a class
  // token.
  int64_t patch = 0, channels = 0, image_height = 0, image_width = 0;
  bool output = true;  // false: the model ends with its hidden states, and its transform
  OutputPlace output_place = OutputPlace::every;
  bool transform = false;  // a [dim, dim] layer with an activation before the output
  Activation transform_activation = Activation::gelu;
  bool transform_norm = false;
  double output_scale = 1;          // of what the output layer reads
  double output_softcap = 0;        // of the logits; 0: none
  bool exclusive = true;            // one class excludes the others: the loss is a cross entropy
  bool predicts_next = false;       // labels, as users give them, are of the next token
  int64_t start_token = -1;         // encoder_decoder: what decoding begins with
  std::vector<int64_t> end_tokens;  // what ends a generated text

  const std::vector<LayerHeads>& attention_of(Part part) const;
  bool operator==(const Config&) const = default;
};

// The same model with every 0 replaced by what it stands for. Throws Error (usage) with a remedy
// for settings that make no model: for example it names the head counts that divide dim.
Config completed(Config config);

// The attention of a layer of a completed config, with its scale.
LayerHeads layer_heads(const Config& config, Part part, int64_t layer);

// How many places an encoder of images reads: its patches and the class token; 0: it reads tokens.
int64_t image_places(const Config& config);

// By formula, from shapes alone; equal for every number of heads unless kv_heads or head_dim say
// otherwise. Takes a config that may not be completed.
int64_t parameter_count(const Config& config);

// {"model_type": "headlight", "kind": "decoder_only", ...}, every field in snake case.
nlohmann::json to_json(const Config& config);
// Completed. `where` names the file in messages; throws Error (bad_input) for unknown or
// missing fields and for values that make no model.
Config config_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace headlight::model
