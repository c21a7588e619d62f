// A value in a JSON file that knows where it stands, for messages that name the place.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace headlight::text {

class JsonPlace {
 public:
  JsonPlace(const nlohmann::json& value, std::filesystem::path file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  bool has(const std::string& key) const;  // and it is not null
  // All of these throw Error (bad_input) if the value is not of the wanted kind.
  JsonPlace at(const std::string& key) const;
  std::vector<JsonPlace> items() const;  // of an array
  std::string text() const;
  std::string text(const std::string& key) const { return at(key).text(); }
  std::string text(const std::string& key, const std::string& otherwise) const;
  bool flag(const std::string& key, bool otherwise) const;
  int64_t integer() const;
  int64_t integer(const std::string& key, int64_t otherwise) const;
  double number() const;
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const nlohmann::json* value_;
  std::filesystem::path file_;
  std::string path_;
};

}  // namespace headlight::text
