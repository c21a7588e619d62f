#include "tensorfile/toml_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <cmath>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"

namespace headlight::tensorfile {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::filesystem::path& path, const toml::source_region& place,
                         const std::string& problem) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: line {}, column {}: {}", path.string(),
                                                place.begin.line, place.begin.column, problem));
}

Json converted(const toml::node& node, const std::filesystem::path& path) {
  Json json;
  if (const toml::table* table = node.as_table()) {
    json = Json::object();
    for (const auto& [key, value] : *table) json[std::string(key.str())] = converted(value, path);
  } else if (const toml::array* array = node.as_array()) {
    json = Json::array();
    for (const toml::node& value : *array) json.push_back(converted(value, path));
  } else if (const auto* text = node.as_string()) {
    json = text->get();
  } else if (const auto* flag = node.as_boolean()) {
    json = flag->get();
  } else if (const auto* whole = node.as_integer()) {
    json = whole->get();
  } else if (const auto* number = node.as_floating_point();
             number && std::isfinite(number->get())) {
    json = number->get();
  } else {
    refuse(path, node.source(), "only finite numbers, words, true and false belong here");
  }
  return json;
}

}  // namespace

nlohmann::ordered_json read_toml_file(const std::filesystem::path& path) {
  constexpr int64_t kLimit = int64_t{1} << 20;
  const std::string text = read_text_file(path, kLimit);
  try {
    return converted(toml::parse(text), path);
  } catch (const toml::parse_error& problem) {
    refuse(path, problem.source(), fmt::format("is not TOML: {}", problem.description()));
  }
}

}  // namespace headlight::tensorfile
