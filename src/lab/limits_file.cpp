// Limits as people keep them beside a model: TOML or JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "headlight/error.h"
#include "lab/limits.h"
#include "tensorfile/json_file.h"
#include "tensorfile/toml_file.h"

namespace headlight::lab {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKeys[] = {
    "min_effective_heads", "max_sink_rate",    "max_redundant", "min_role", "max_loss", "baseline",
    "tolerance",           "max_loss_increase"};

// One key of the file, and what is wrong with it.
struct Value {
  const std::filesystem::path& file;
  std::string key;
  const Json& json;

  [[noreturn]] void refuse(const std::string& wanted) const {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: {} must be {}, not {}", file.string(), key, wanted, json.dump()));
  }
  double number() const {
    if (!json.is_number() || !std::isfinite(json.get<double>()) || json.get<double>() < 0)
      refuse("a number from 0 on");
    return json.get<double>();
  }
  int64_t count() const {
    if (!json.is_number_integer() || json.get<double>() < 0 || json.get<double>() > 1e9)
      refuse("a whole number from 0 on");
    return json.get<int64_t>();
  }
};

}  // namespace

Limits read_limits(const std::filesystem::path& file) {
  const std::string kind = file.extension().string();
  if (kind != ".toml" && kind != ".json")
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: limits are a file of the name .toml or .json", file.string()));
  const Json json = kind == ".toml" ? tensorfile::read_toml_file(file)
                                    : tensorfile::read_ordered_json_file(file, 1 << 20);
  if (!json.is_object())
    throw Error(ErrorKind::bad_input, fmt::format("{}: is no object of limits", file.string()));
  Limits limits;
  for (const auto& [key, item] : json.items()) {
    const Value value{file, key, item};
    if (key == "min_effective_heads") {
      limits.min_effective_heads = value.number();
    } else if (key == "max_sink_rate") {
      limits.max_sink_rate = value.number();
    } else if (key == "max_redundant") {
      limits.max_redundant = value.count();
    } else if (key == "max_loss") {
      limits.max_loss = value.number();
    } else if (key == "tolerance") {
      limits.tolerance = value.number();
    } else if (key == "max_loss_increase") {
      limits.max_loss_increase = value.number();
    } else if (key == "baseline") {
      if (!item.is_string()) value.refuse("the name of a file");
      limits.baseline = file.parent_path() / item.get<std::string>();
    } else if (key == "min_role") {
      if (!item.is_object()) value.refuse("a table of roles and counts, as in {induction = 1}");
      for (const auto& [role, heads] : item.items()) {
        const Value count{file, "min_role." + role, heads};
        if (!is_role(role))
          throw Error(ErrorKind::bad_input,
                      fmt::format("{}: there is no role {}; roles are {}", file.string(), role,
                                  fmt::join(roles(), ", ")));
        limits.min_role[role] = count.count();
      }
    } else {
      throw Error(ErrorKind::bad_input, fmt::format("{}: the key {} is not known; limits are {}",
                                                    file.string(), key, fmt::join(kKeys, ", ")));
    }
  }
  return limits;
}

}  // namespace headlight::lab
