// The values of a transformers config.json, checked as they are read.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/config.h"

namespace headlight::model {

// Every function throws Error (bad_input) that names the file, the key and its value. A key that is
// absent or null has the default; a function without one demands the key. Of several keys the
// first that is there counts: configs have changed their words over the years.
class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, std::string where)
      : json_(json), where_(std::move(where)) {}

  using Keys = std::initializer_list<const char*>;
  bool has(const char* key) const;  // and not null
  bool is_null(const char* key) const { return json_.contains(key) && json_.at(key).is_null(); }
  int64_t size(Keys keys) const;  // at least 1
  int64_t size(Keys keys, int64_t otherwise) const;
  int64_t integer(const char* key, int64_t otherwise) const;  // any, for token ids
  std::vector<int64_t> integers(const char* key) const;       // one, a list, or none
  double number(Keys keys, double otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  std::string text(const char* key, const std::string& otherwise) const;
  std::vector<std::string> texts(const char* key) const;
  ConfigReader object(const char* key) const;  // empty where it is absent

  Activation activation(Keys keys, const char* otherwise) const;
  // "model_type" is not enough to tell: "BertForMaskedLM", or "" where "architectures" is absent.
  std::string architecture() const;
  // How many classes a classifier of this config has.
  int64_t labels() const;

  // For values that would change the numbers in ways the model does not have.
  [[noreturn]] void refuse(const char* key, const std::string& instead) const;
  void expect(const char* key, const nlohmann::json& only) const;  // or absent or null
  // Heads of a layer that transformers 4 has pruned, by layer; throws if they are none.
  std::vector<int64_t> pruned_heads(int64_t layer, int64_t heads) const;

  const std::string& where() const { return where_; }

 private:
  const nlohmann::json* find(Keys keys, const char** found) const;
  [[noreturn]] void missing(const char* key) const;

  nlohmann::json json_;
  std::string where_;
};

// The gated form of an activation, for feed-forward parts with a gate.
Activation gated(Activation activation, const ConfigReader& config);

}  // namespace headlight::model
