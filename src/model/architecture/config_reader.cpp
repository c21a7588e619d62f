#include "model/architecture/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "headlight/error.h"

namespace headlight::model {

void ConfigReader::missing(const char* key) const {
  throw Error(ErrorKind::bad_input, fmt::format("{}: \"{}\" is missing", where_, key));
}

void ConfigReader::refuse(const char* key, const std::string& instead) const {
  throw Error(ErrorKind::bad_input,
              fmt::format("{}: \"{}\" is {}; {}", where_, key,
                          json_.contains(key) ? json_.at(key).dump() : "missing", instead));
}

const nlohmann::json* ConfigReader::find(Keys keys, const char** found) const {
  for (const char* key : keys) {
    *found = key;
    const auto entry = json_.find(key);
    if (entry != json_.end() && !entry->is_null()) return &*entry;
  }
  *found = *keys.begin();
  return nullptr;
}

bool ConfigReader::has(const char* key) const {
  const char* found = nullptr;
  return find({key}, &found) != nullptr;
}

int64_t ConfigReader::size(Keys keys) const {
  const char* key = nullptr;
  const nlohmann::json* entry = find(keys, &key);
  if (!entry) missing(key);
  if (!entry->is_number_integer() || *entry < 1 || *entry > (int64_t{1} << 31))
    refuse(key, "it must be a positive integer");
  return entry->get<int64_t>();
}

int64_t ConfigReader::size(Keys keys, int64_t otherwise) const {
  const char* key = nullptr;
  return find(keys, &key) ? size(keys) : otherwise;
}

int64_t ConfigReader::integer(const char* key, int64_t otherwise) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (!entry) return otherwise;
  if (!entry->is_number_integer() || *entry > (int64_t{1} << 31) || *entry < -(int64_t{1} << 31))
    refuse(key, "it must be an integer");
  return entry->get<int64_t>();
}

std::vector<int64_t> ConfigReader::integers(const char* key) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (!entry) return {};
  if (!entry->is_array()) return {integer(key, 0)};
  std::vector<int64_t> all;
  for (const nlohmann::json& one : *entry) {
    if (!one.is_number_integer()) refuse(key, "it must be a list of integers");
    all.push_back(one.get<int64_t>());
  }
  return all;
}

double ConfigReader::number(Keys keys, double otherwise) const {
  const char* key = nullptr;
  const nlohmann::json* entry = find(keys, &key);
  if (!entry) return otherwise;
  if (!entry->is_number() || !std::isfinite(entry->get<double>()))
    refuse(key, "it must be a finite number");
  return entry->get<double>();
}

bool ConfigReader::flag(const char* key, bool otherwise) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (!entry) return otherwise;
  if (!entry->is_boolean()) refuse(key, "it must be true or false");
  return entry->get<bool>();
}

std::string ConfigReader::text(const char* key, const std::string& otherwise) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (!entry) return otherwise;
  if (!entry->is_string()) refuse(key, "it must be a text");
  return entry->get<std::string>();
}

std::vector<std::string> ConfigReader::texts(const char* key) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (!entry) return {};
  std::vector<std::string> all;
  if (!entry->is_array()) refuse(key, "it must be a list of texts");
  for (const nlohmann::json& one : *entry) {
    if (!one.is_string()) refuse(key, "it must be a list of texts");
    all.push_back(one.get<std::string>());
  }
  return all;
}

ConfigReader ConfigReader::object(const char* key) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (entry && !entry->is_object()) refuse(key, "it must be an object");
  return {entry ? *entry : nlohmann::json::object(), fmt::format("{}: \"{}\"", where_, key)};
}

Activation ConfigReader::activation(Keys keys, const char* otherwise) const {
  static const std::map<std::string, Activation> known = {
      {"relu", Activation::relu},
      {"gelu", Activation::gelu},
      {"gelu_python", Activation::gelu},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_python_tanh", Activation::gelu_tanh},
      {"gelu_accurate", Activation::gelu_tanh},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"quick_gelu", Activation::quick_gelu},
      {"tanh", Activation::tanh}};
  const char* key = nullptr;
  find(keys, &key);
  const auto found = known.find(text(key, otherwise));
  if (found == known.end()) {
    std::string all;
    for (const auto& [name, value] : known) all += (all.empty() ? "" : ", ") + name;
    refuse(key, "supported are " + all);
  }
  return found->second;
}

std::string ConfigReader::architecture() const {
  const std::vector<std::string> all = texts("architectures");
  return all.empty() ? "" : all.front();
}

int64_t ConfigReader::labels() const {
  if (has("num_labels")) return size({"num_labels"});
  const nlohmann::json* entry = nullptr;
  const char* key = nullptr;
  for (const char* name : {"id2label", "label2id"}) {
    entry = find({name}, &key);
    if (entry) break;
  }
  if (!entry) return 2;  // the default of transformers
  if (!entry->is_object() || entry->empty()) refuse(key, "it must name the classes");
  return static_cast<int64_t>(entry->size());
}

void ConfigReader::expect(const char* key, const nlohmann::json& only) const {
  const char* found = nullptr;
  const nlohmann::json* entry = find({key}, &found);
  if (entry && *entry != only) refuse(key, fmt::format("only {} is supported", only.dump()));
}

std::vector<int64_t> ConfigReader::pruned_heads(int64_t layer, int64_t heads) const {
  const char* key = nullptr;
  const nlohmann::json* entry = find({"pruned_heads"}, &key);
  if (!entry) return {};
  const auto wrong = [&] { refuse(key, "it must be lists of heads by layer"); };
  if (!entry->is_object()) wrong();
  const auto of_layer = entry->find(std::to_string(layer));
  if (of_layer == entry->end()) return {};
  if (!of_layer->is_array()) wrong();
  std::vector<int64_t> all;
  for (const nlohmann::json& head : *of_layer) {
    if (!head.is_number_integer() || head < 0 || head >= heads) wrong();
    all.push_back(head.get<int64_t>());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Activation gated(Activation activation, const ConfigReader& config) {
  switch (activation) {
    case Activation::relu:
      return Activation::reglu;
    case Activation::gelu:
      return Activation::geglu;
    case Activation::gelu_tanh:
      return Activation::geglu_tanh;
    case Activation::silu:
      return Activation::swiglu;
    default:
      throw Error(ErrorKind::bad_input,
                  config.where() +
                      ": this activation is not supported with a gate; relu, gelu, "
                      "gelu_new and silu are");
  }
}

}  // namespace headlight::model
