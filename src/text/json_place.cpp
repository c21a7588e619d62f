#include "text/json_place.h"

#include <fmt/format.h>

#include "headlight/error.h"

namespace headlight::text {

void JsonPlace::fail(const std::string& what) const {
  throw Error(ErrorKind::bad_input,
              fmt::format("{}: {}{}{}", file_.string(), path_, path_.empty() ? "" : ": ", what));
}

bool JsonPlace::has(const std::string& key) const {
  if (!value_->is_object()) return false;
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonPlace JsonPlace::at(const std::string& key) const {
  if (!value_->is_object()) fail("this should be an object");
  const auto found = value_->find(key);
  if (found == value_->end()) fail(fmt::format("\"{}\" is missing", key));
  return {*found, file_, path_.empty() ? key : path_ + "." + key};
}

std::vector<JsonPlace> JsonPlace::items() const {
  if (!value_->is_array()) fail("this should be a list");
  std::vector<JsonPlace> all;
  all.reserve(value_->size());
  for (const auto& item : *value_)
    all.push_back({item, file_, fmt::format("{}[{}]", path_, all.size())});
  return all;
}

std::string JsonPlace::text() const {
  if (!value_->is_string()) fail("this should be a text");
  return value_->get<std::string>();
}

std::string JsonPlace::text(const std::string& key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

bool JsonPlace::flag(const std::string& key, bool otherwise) const {
  if (!has(key)) return otherwise;
  const JsonPlace place = at(key);
  if (!place.value().is_boolean()) place.fail("this should be true or false");
  return place.value().get<bool>();
}

int64_t JsonPlace::integer() const {
  if (!value_->is_number_integer() ||
      (value_->is_number_unsigned() && value_->get<uint64_t>() > (uint64_t{1} << 62)))
    fail("this should be an integer");
  return value_->get<int64_t>();
}

int64_t JsonPlace::integer(const std::string& key, int64_t otherwise) const {
  return has(key) ? at(key).integer() : otherwise;
}

double JsonPlace::number() const {
  if (!value_->is_number()) fail("this should be a number");
  return value_->get<double>();
}

}  // namespace headlight::text
