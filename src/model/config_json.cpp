#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/pruned_record.h"

namespace headlight::model {
namespace {

template <typename E>
using Names = std::initializer_list<std::pair<E, const char*>>;

const Names<Kind>& names(Kind) {
  static const Names<Kind> all = {{Kind::decoder_only, "decoder_only"},
                                  {Kind::encoder_only, "encoder_only"},
                                  {Kind::encoder_decoder, "encoder_decoder"}};
  return all;
}
const Names<Norm>& names(Norm) {
  static const Names<Norm> all = {{Norm::layer, "layer"}, {Norm::rms, "rms"}};
  return all;
}
const Names<NormPlace>& names(NormPlace) {
  static const Names<NormPlace> all = {
      {NormPlace::pre, "pre"}, {NormPlace::post, "post"}, {NormPlace::both, "both"}};
  return all;
}
const Names<Activation>& names(Activation) {
  static const Names<Activation> all = {{Activation::relu, "relu"},
                                        {Activation::gelu, "gelu"},
                                        {Activation::gelu_tanh, "gelu_tanh"},
                                        {Activation::silu, "silu"},
                                        {Activation::swiglu, "swiglu"},
                                        {Activation::reglu, "reglu"},
                                        {Activation::geglu, "geglu"},
                                        {Activation::geglu_tanh, "geglu_tanh"},
                                        {Activation::quick_gelu, "quick_gelu"},
                                        {Activation::tanh, "tanh"}};
  return all;
}
const Names<Position>& names(Position) {
  static const Names<Position> all = {{Position::learned, "learned"},
                                      {Position::sinusoidal, "sinusoidal"},
                                      {Position::rotary, "rotary"},
                                      {Position::none, "none"},
                                      {Position::sinusoidal_halves, "sinusoidal_halves"},
                                      {Position::relative, "relative"}};
  return all;
}
const Names<OutputPlace>& names(OutputPlace) {
  static const Names<OutputPlace> all = {
      {OutputPlace::every, "every"}, {OutputPlace::first, "first"}, {OutputPlace::last, "last"}};
  return all;
}
const Names<RotaryScaling::Kind>& names(RotaryScaling::Kind) {
  using enum RotaryScaling::Kind;
  static const Names<RotaryScaling::Kind> all = {
      {none, "none"}, {linear, "linear"}, {dynamic, "dynamic"}, {llama3, "llama3"}, {yarn, "yarn"}};
  return all;
}

// One list of fields serves both directions.
template <typename C, typename F>
void each_field(C& c, F& field) {
  field("kind", c.kind);
  field("vocabulary", c.vocabulary);
  field("source_vocabulary", c.source_vocabulary);
  field("classes", c.classes);
  field("dim", c.dim);
  field("layers", c.layers);
  field("decoder_layers", c.decoder_layers);
  field("heads", c.heads);
  field("kv_heads", c.kv_heads);
  field("head_dim", c.head_dim);
  field("ffn", c.ffn);
  field("positions", c.positions);
  field("norm", c.norm);
  field("norm_place", c.norm_place);
  field("norm_epsilon", c.norm_epsilon);
  field("norm_bias", c.norm_bias);
  field("final_norm", c.final_norm);
  field("activation", c.activation);
  field("position", c.position);
  field("rotary_theta", c.rotary_theta);
  field("dropout", c.dropout);
  field("attention_dropout", c.attention_dropout);
  field("embedding_dropout", c.embedding_dropout);
  field("tied", c.tied);
  field("linear_bias", c.linear_bias);
  field("output_bias", c.output_bias);
  field("causal", c.causal);
}

// Fields that are written only where they differ from those of a default value.
template <typename C, typename F>
void each_extra(C& c, F& field) {
  field("encoder_attention", c.encoder_attention);
  field("decoder_attention", c.decoder_attention);
  field("cross_attention", c.cross_attention);
  field("decoder_ffn", c.decoder_ffn);
  field("parallel", c.parallel);
  field("query_key_norm", c.query_key_norm);
  field("qkv_bias", c.qkv_bias);
  field("attention_out_bias", c.attention_out_bias);
  field("ffn_bias", c.ffn_bias);
  field("score_softcap", c.score_softcap);
  field("rotary_width", c.rotary_width);
  field("relative_buckets", c.relative_buckets);
  field("relative_distance", c.relative_distance);
  field("position_offset", c.position_offset);
  field("padding_token", c.padding_token);
  field("token_types", c.token_types);
  field("sentence_tokens", c.sentence_tokens);
  field("only_first_attends", c.only_first_attends);
  field("shared_layers", c.shared_layers);
  field("embedding_scale", c.embedding_scale);
  field("embedding_norm", c.embedding_norm);
  field("shared_tokens", c.shared_tokens);
  field("patch", c.patch);
  field("channels", c.channels);
  field("image_height", c.image_height);
  field("image_width", c.image_width);
  field("output", c.output);
  field("output_place", c.output_place);
  field("transform", c.transform);
  field("transform_activation", c.transform_activation);
  field("transform_norm", c.transform_norm);
  field("output_scale", c.output_scale);
  field("output_softcap", c.output_softcap);
  field("exclusive", c.exclusive);
  field("predicts_next", c.predicts_next);
  field("start_token", c.start_token);
  field("end_tokens", c.end_tokens);
}

template <typename C, typename F>
void each_of_layer(C& c, F& field) {
  field("heads", c.heads);
  field("kv_heads", c.kv_heads);
  field("head_dim", c.head_dim);
  field("scale", c.scale);
  field("window", c.window);
  field("rotary_theta", c.rotary_theta);
  field("rotary_scaling", c.rotary_scaling);
  field("numbers", c.numbers);
}

template <typename C, typename F>
void each_of_scaling(C& c, F& field) {
  field("kind", c.kind);
  field("factor", c.factor);
  field("original_positions", c.original_positions);
  field("low", c.low);
  field("high", c.high);
  field("beta_fast", c.beta_fast);
  field("beta_slow", c.beta_slow);
  field("attention_factor", c.attention_factor);
  field("truncate", c.truncate);
}

struct Writer {
  nlohmann::json& json;

  void operator()(const char* key, const RotaryScaling& value) { inside(json[key], value); }
  void operator()(const char* key, const std::vector<LayerHeads>& value) {
    json[key] = nlohmann::json::array();
    for (const LayerHeads& layer : value) {
      json[key].push_back(nlohmann::json::object());
      Writer writer{json[key].back()};
      each_of_layer(layer, writer);
    }
  }
  template <typename T>
  void operator()(const char* key, const T& value) {
    if constexpr (std::is_enum_v<T>) {
      for (const auto& [member, name] : names(T{}))
        if (member == value) json[key] = name;
    } else {
      json[key] = value;
    }
  }

 private:
  static void inside(nlohmann::json& entry, const RotaryScaling& value) {
    entry = nlohmann::json::object();
    Writer writer{entry};
    each_of_scaling(value, writer);
  }
};

struct Reader {
  const nlohmann::json& json;
  std::string where;
  bool required = true;
  size_t known = 0;

  [[noreturn]] void refuse(const char* key, const std::string& expected) const {
    throw Error(ErrorKind::bad_input, fmt::format("{}: \"{}\" is {}; it must be {}", where, key,
                                                  json.at(key).dump(), expected));
  }

  template <typename T>
  void operator()(const char* key, T& value) {
    if (!json.contains(key)) {
      if (!required) return;
      throw Error(ErrorKind::bad_input, fmt::format("{}: \"{}\" is missing", where, key));
    }
    ++known;
    read(key, json.at(key), value);
  }

 private:
  template <typename T>
  void read(const char* key, const nlohmann::json& entry, T& value) {
    if constexpr (std::is_enum_v<T>) {
      std::string choices;
      for (const auto& [member, name] : names(T{})) {
        if (entry == name) {
          value = member;
          return;
        }
        choices += fmt::format("{}\"{}\"", choices.empty() ? "" : ", ", name);
      }
      refuse(key, "one of " + choices);
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!entry.is_boolean()) refuse(key, "true or false");
      value = entry.get<bool>();
    } else if constexpr (std::is_same_v<T, int64_t>) {
      // An unsigned number above the range would wrap around.
      if (!entry.is_number_integer() ||
          (entry.is_number_unsigned() && entry.get<uint64_t>() > uint64_t{1} << 62))
        refuse(key, "an integer");
      value = entry.get<int64_t>();
    } else {
      if (!entry.is_number()) refuse(key, "a number");
      value = entry.get<double>();
    }
  }

  template <typename T>
  void read(const char* key, const nlohmann::json& entry, std::vector<T>& value) {
    if (!entry.is_array()) refuse(key, "a list");
    value.clear();
    for (const nlohmann::json& one : entry) read(key, one, value.emplace_back());
  }

  void read(const char* key, const nlohmann::json& entry, LayerHeads& value) {
    if (!entry.is_object()) refuse(key, "a list of objects");
    Reader reader{entry, fmt::format("{}: \"{}\"", where, key)};
    each_of_layer(value, reader);
  }

  void read(const char* key, const nlohmann::json& entry, RotaryScaling& value) {
    if (!entry.is_object()) refuse(key, "an object");
    Reader reader{entry, fmt::format("{}: \"{}\"", where, key)};
    each_of_scaling(value, reader);
  }
};

}  // namespace

nlohmann::json to_json(const Config& config) {
  nlohmann::json json = {{"model_type", "headlight"}};
  Writer writer{json};
  each_field(config, writer);
  // What completed() would fill in again is no difference.
  Config usual;
  usual.decoder_ffn = config.kind == Kind::encoder_decoder ? config.ffn : 0;
  usual.qkv_bias = usual.attention_out_bias = usual.ffn_bias = config.linear_bias;
  nlohmann::json own = nlohmann::json::object(), defaults = nlohmann::json::object();
  Writer own_writer{own}, default_writer{defaults};
  each_extra(config, own_writer);
  each_extra(usual, default_writer);
  for (const auto& [key, value] : own.items())
    if (value != defaults.at(key)) json[key] = value;
  return json;
}

Config config_from_json(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object() || !json.contains("model_type") || json.at("model_type") != "headlight")
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{}: not the configuration of a headlight model (\"model_type\" must be "
                    "\"headlight\")",
                    where));
  Config config;
  Reader reader{json, where};
  each_field(config, reader);
  reader.required = false;
  each_extra(config, reader);
  if (reader.known + 1 != json.size()) {  // and model_type
    nlohmann::json all = to_json(config);
    Writer writer{all};
    each_extra(config, writer);
    for (const auto& [key, value] : json.items())
      if (!all.contains(key) && key != kPrunedRecord && key != kClassNames)
        throw Error(ErrorKind::bad_input, fmt::format("{}: unknown field \"{}\"", where, key));
  }
  try {
    return completed(config);
  } catch (const Error& error) {
    throw Error(ErrorKind::bad_input, where + ": " + error.what());
  }
}

}  // namespace headlight::model
