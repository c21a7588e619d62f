#include "model/architecture/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headlight/error.h"

namespace headlight::model {

Head head_of(const ConfigReader& config, const TensorNames& names,
             std::initializer_list<std::pair<const char*, Head>> tensors) {
  static const std::pair<const char*, Head> kEndings[] = {
      {"ForMaskedLM", Head::language},
      {"ForCausalLM", Head::language},
      {"LMHeadModel", Head::language},
      {"ForPreTraining", Head::language},
      {"ForConditionalGeneration", Head::language},
      {"MTModel", Head::language},
      {"ForSequenceClassification", Head::sequence},
      {"ForImageClassification", Head::sequence},
      {"ForTokenClassification", Head::token},
      {"ForQuestionAnswering", Head::span}};
  const std::string name = config.architecture();
  for (const auto& [ending, head] : kEndings)
    if (name.ends_with(ending)) return head;
  if (!name.empty() && !name.ends_with("Model"))
    config.refuse("architectures",
                  "this head is not supported; base models, language models, "
                  "sequence, token and image classification and question "
                  "answering are");
  for (const auto& [tensor, head] : tensors)
    if (names.has(tensor)) return head;
  return Head::none;
}

void set_output(Config& c, Head head, const ConfigReader& reader) {
  c.output = head != Head::none;
  if (head == Head::none || head == Head::language) return;
  c.classes = reader.labels();
  c.tied = false;
  c.predicts_next = false;
  c.exclusive =
      reader.text("problem_type", "single_label_classification") == "single_label_classification";
  if (head == Head::sequence) c.output_place = OutputPlace::first;
  // Two numbers a token, which no label of a token is scored against.
  if (head == Head::span) c.exclusive = false;
}

Head set_decoder_output(Config& c, const ConfigReader& reader, const TensorNames& names,
                        std::initializer_list<std::pair<const char*, Head>> tensors) {
  c.predicts_next = true;
  c.end_tokens = reader.integers("eos_token_id");
  Head head = head_of(reader, names, tensors);
  if (head == Head::none && c.tied) head = Head::language;
  set_output(c, head, reader);
  if (head == Head::sequence) c.output_place = OutputPlace::last;
  c.output_bias = head == Head::token || head == Head::span;
  return head;
}

nlohmann::json one_or_all(const std::vector<int64_t>& ids) {
  return ids.size() == 1 ? nlohmann::json(ids[0]) : nlohmann::json(ids);
}

std::string prefix_of(const TensorNames& names, std::initializer_list<const char*> prefixes,
                      const std::string& tensor) {
  for (const char* prefix : prefixes)
    if (names.has(prefix + tensor)) return prefix;
  return *prefixes.begin();
}

std::vector<LayerHeads> alike_layers(const Config& c, int64_t layers) {
  LayerHeads one;
  one.heads = c.heads;
  one.kv_heads = c.kv_heads > 0 ? c.kv_heads : c.heads;
  one.head_dim = c.head_dim > 0 ? c.head_dim : c.dim / std::max<int64_t>(1, c.heads);
  one.rotary_theta = c.rotary_theta;
  if (layers > 100'000)
    throw Error(ErrorKind::bad_input, fmt::format("{} layers are too many", layers));
  return std::vector<LayerHeads>(static_cast<size_t>(layers), one);
}

void prune_layers(std::vector<LayerHeads>& layers, const ConfigReader& reader) {
  for (size_t i = 0; i < layers.size(); ++i) {
    LayerHeads& layer = layers[i];
    const std::vector<int64_t> gone = reader.pruned_heads(static_cast<int64_t>(i), layer.heads);
    if (gone.empty()) continue;
    for (int64_t head = 0; head < layer.heads; ++head)
      if (!std::binary_search(gone.begin(), gone.end(), head)) layer.numbers.push_back(head);
    layer.heads = layer.kv_heads = static_cast<int64_t>(layer.numbers.size());
  }
}

std::vector<bool> windowed_layers(const ConfigReader& reader, int64_t layers,
                                  bool (*otherwise)(const ConfigReader&, int64_t layer)) {
  std::vector<bool> windowed;
  const std::vector<std::string> types = reader.texts("layer_types");
  if (types.empty()) {
    for (int64_t i = 0; i < layers; ++i) windowed.push_back(otherwise(reader, i));
    return windowed;
  }
  if (static_cast<int64_t>(types.size()) != layers)
    reader.refuse("layer_types", fmt::format("there are {} layers", layers));
  for (const std::string& type : types) {
    if (type != "sliding_attention" && type != "full_attention")
      reader.refuse("layer_types", "supported are \"full_attention\" and \"sliding_attention\"");
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

void read_rotary(const ConfigReader& reader, const std::string& layer_type, double theta,
                 double otherwise, Config& c, LayerHeads& layer) {
  ConfigReader rotary = reader.object("rope_parameters");
  if (rotary.has(layer_type.c_str())) rotary = rotary.object(layer_type.c_str());
  const bool old = !reader.has("rope_parameters");
  if (old) rotary = reader.object("rope_scaling");
  layer.rotary_theta =
      rotary.number({"rope_theta"}, reader.number({"rope_theta", "rotary_emb_base"}, theta));
  const double part = rotary.number(
      {"partial_rotary_factor"}, reader.number({"partial_rotary_factor", "rotary_pct"}, otherwise));
  if (!(part > 0 && part <= 1))
    reader.refuse("partial_rotary_factor", "it must be above 0 and at most 1");
  c.rotary_width = part == 1 ? 0 : static_cast<int64_t>(static_cast<double>(layer.head_dim) * part);
  if (part != 1 && (c.rotary_width < 2 || c.rotary_width % 2 != 0))
    reader.refuse("partial_rotary_factor",
                  fmt::format("that would turn {} elements of a head", c.rotary_width));

  using Scaling = RotaryScaling::Kind;
  RotaryScaling& s = layer.rotary_scaling;
  const char* const key = rotary.has("rope_type") ? "rope_type" : "type";
  const std::string type = rotary.text(key, "default");
  if (type == "default") return;
  if (type == "linear")
    s.kind = Scaling::linear;
  else if (type == "dynamic")
    s.kind = Scaling::dynamic;
  else if (type == "llama3")
    s.kind = Scaling::llama3;
  else if (type == "yarn")
    s.kind = Scaling::yarn;
  else
    rotary.refuse(key,
                  "supported are \"default\", \"linear\", \"dynamic\", \"llama3\" and \"yarn\"");
  s.factor = rotary.number({"factor"}, 0);
  if (!(s.factor >= 1)) rotary.refuse("factor", "it must be a number from 1");
  if (s.kind == Scaling::linear) return;
  s.original_positions =
      rotary.size({"original_max_position_embeddings"},
                  reader.size({"original_max_position_embeddings"}, c.positions));
  if (s.kind == Scaling::llama3) {
    s.low = rotary.number({"low_freq_factor"}, 0);
    s.high = rotary.number({"high_freq_factor"}, 0);
    if (!(s.low > 0 && s.high > s.low))
      rotary.refuse("high_freq_factor",
                    "it and low_freq_factor must be positive, and it the larger");
  }
  if (s.kind == Scaling::yarn) {
    s.beta_fast = rotary.number({"beta_fast"}, 32);
    s.beta_slow = rotary.number({"beta_slow"}, 1);
    s.truncate = rotary.flag("truncate", true);
    const auto size = [&](double by) {
      return s.factor <= 1 ? 1 : 0.1 * by * std::log(s.factor) + 1;
    };
    const double scale = rotary.number({"mscale"}, 0), all = rotary.number({"mscale_all_dim"}, 0);
    s.attention_factor = rotary.number({"attention_factor"},
                                       scale != 0 && all != 0 ? size(scale) / size(all) : size(1));
    if (!(s.beta_fast > 0 && s.beta_slow > 0))
      rotary.refuse("beta_fast", "it and beta_slow must be positive");
  }
}

}  // namespace headlight::model
