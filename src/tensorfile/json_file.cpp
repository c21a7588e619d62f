#include "tensorfile/json_file.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"

namespace headlight::tensorfile {

namespace {

template <typename Json>
Json read(const std::filesystem::path& path, int64_t limit) {
  constexpr size_t kDeepest = 64;
  const std::string text = read_text_file(path, limit);
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::bad_input, fmt::format("{}: {}", path.string(), what));
  };
  if (const size_t zero = text.find('\0'); zero != std::string::npos) {
    // The parser would take it for the end of the text.
    refuse(fmt::format("is not JSON: byte {} is 0", zero));
  }
  std::vector<std::set<std::string>> keys;  // of the objects and arrays that are open
  using Event = typename Json::parse_event_t;
  const auto watch = [&](int, Event event, Json& value) {
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        keys.emplace_back();
        if (keys.size() > kDeepest) refuse(fmt::format("nests deeper than {} levels", kDeepest));
        break;
      case Event::object_end:
      case Event::array_end:
        keys.pop_back();
        break;
      case Event::key:
        if (!keys.back().insert(value.template get<std::string>()).second) {
          refuse(fmt::format("has the key {} twice in one object", value.dump()));
        }
        break;
      case Event::value:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const typename Json::exception& problem) {
    refuse(fmt::format("is not JSON: {}", json_problem(problem)));
  }
  return {};
}

}  // namespace

nlohmann::json read_json_file(const std::filesystem::path& path, int64_t limit) {
  return read<nlohmann::json>(path, limit);
}

nlohmann::ordered_json read_ordered_json_file(const std::filesystem::path& path, int64_t limit) {
  return read<nlohmann::ordered_json>(path, limit);
}

std::string json_problem(const nlohmann::json::exception& problem) {
  // "[json.exception.parse_error.101] parse error at line 2, column 7: syntax error while parsing
  // value - …": the place and what comes after the dash are for people.
  std::string text = problem.what();
  if (const size_t code = text.find("] "); text.starts_with("[json.exception.") && code < 64)
    text.erase(0, code + 2);
  if (text.starts_with("parse error at ")) {
    text.erase(0, std::string_view("parse error at ").size());
    const size_t colon = text.find(": "), dash = text.find(" - ");
    if (colon < dash && dash != std::string::npos) text.replace(colon, dash + 3 - colon, ": ");
  }
  return text;
}

}  // namespace headlight::tensorfile
