#include "lab/vitals.h"

#include <fmt/format.h>

#include <map>
#include <numeric>

#include "headlight/error.h"
#include "tensorfile/json_file.h"

namespace headlight::lab {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::vector<int64_t>> groups_in(const std::vector<int64_t>& labels) {
  std::map<int64_t, std::vector<int64_t>> by_label;
  for (size_t h = 0; h < labels.size(); ++h) by_label[labels[h]].push_back(int64_t(h));
  std::vector<std::vector<int64_t>> groups;
  for (auto& [label, heads] : by_label)
    if (heads.size() > 1) groups.push_back(std::move(heads));
  return groups;
}

std::vector<int64_t> counted_from_zero(size_t heads) {
  std::vector<int64_t> numbers(heads);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

std::optional<double> number_or_null(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return json.get<double>();
}

std::optional<bool> flag_or_null(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return json.get<bool>();
}

// An entry of "layers" that `headlight inspect` wrote; a study's report has the same.
Vitals::Layer inspected(const Json& json) {
  Vitals::Layer layer;
  for (const Json& head : json.at("structure"))
    layer.sink.push_back(flag_or_null(head.at("is_sink")));
  for (const Json& names : json.at("roles"))
    layer.role.push_back(names.empty() ? "" : names.at(0).get<std::string>());
  layer.heads = json.contains("heads") ? json["heads"].get<std::vector<int64_t>>()
                                       : counted_from_zero(layer.sink.size());
  const Json& redundancy = json.at("redundancy");
  layer.effective_heads = number_or_null(redundancy.at("effective_heads"));
  if (const Json& clusters = redundancy.at("clusters"); !clusters.is_null()) {
    const auto labels = clusters.get<std::vector<int64_t>>();
    layer.alike = groups_in(labels);
  }
  return layer;
}

// What to_json() writes.
Vitals::Layer checked(const Json& json) {
  Vitals::Layer layer;
  layer.heads = json.at("heads").get<std::vector<int64_t>>();
  layer.effective_heads = number_or_null(json.at("effective_heads"));
  for (const Json& flag : json.at("sink")) layer.sink.push_back(flag_or_null(flag));
  for (const Json& role : json.at("role"))
    layer.role.push_back(role.is_null() ? "" : role.get<std::string>());
  if (!json.at("alike").is_null())
    layer.alike = json["alike"].get<std::vector<std::vector<int64_t>>>();
  return layer;
}

}  // namespace

Vitals vitals_of(const Inspection& inspection) {
  Vitals vitals{.examples = inspection.examples};
  for (const InspectedLayer& from : inspection.layers) {
    Vitals::Layer& layer = vitals.layers.emplace_back();
    layer.stack = from.stack;
    layer.layer = from.layer;
    const heads::PooledAnalysis& found = from.analysis;
    layer.heads = from.numbers.empty() ? counted_from_zero(found.structure.size()) : from.numbers;
    for (size_t h = 0; h < found.structure.size(); ++h) {
      layer.sink.push_back(found.structure[h].is_sink);
      layer.role.push_back(found.roles[h].empty() ? "" : found.roles[h].front());
    }
    if (!found.redundancy) continue;
    layer.effective_heads = found.redundancy->effective_heads;
    if (!found.redundancy->clusters.empty()) layer.alike = groups_in(found.redundancy->clusters);
  }
  return vitals;
}

Json to_json(const Vitals::Layer& layer) {
  Json json = {{"stack", layer.stack}, {"layer", layer.layer}, {"heads", layer.heads}};
  json["effective_heads"] = layer.effective_heads ? Json(*layer.effective_heads) : Json();
  json["sink"] = Json::array();
  for (const auto& flag : layer.sink) json["sink"].push_back(flag ? Json(*flag) : Json());
  json["alike"] = layer.alike ? Json(*layer.alike) : Json();
  json["role"] = Json::array();
  for (const std::string& role : layer.role)
    json["role"].push_back(role.empty() ? Json() : Json(role));
  return json;
}

Vitals read_vitals(const std::filesystem::path& report) {
  const Json json = tensorfile::read_ordered_json_file(report);
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: {}; a baseline is what headlight check --save or headlight "
                            "inspect --json wrote",
                            report.string(), what));
  };
  const std::string schema =
      json.is_object() && json.contains("schema") && json["schema"].is_string()
          ? json["schema"].get<std::string>()
          : "";
  const bool from_check = schema == "headlight.check/1";
  if (!from_check && schema != "headlight.inspect/1")
    refuse(schema.empty() ? "has no \"schema\"" : fmt::format("is of the schema {}", schema));
  Vitals vitals;
  std::string place = "examples";
  try {
    vitals.examples = json.at("examples").get<int64_t>();
    place = "loss";
    if (json.contains("loss")) vitals.loss = number_or_null(json["loss"]);
    for (const Json& entry : json.at("layers")) {
      place = fmt::format("layers[{}]", vitals.layers.size());
      Vitals::Layer layer = from_check ? checked(entry) : inspected(entry);
      layer.stack = entry.at("stack").get<std::string>();
      layer.layer = entry.at("layer").get<int64_t>();
      if (layer.sink.size() != layer.heads.size() || layer.role.size() != layer.heads.size())
        refuse(place + ": has lists of different lengths");
      for (const auto& group : layer.alike.value_or(std::vector<std::vector<int64_t>>{}))
        for (const int64_t head : group)
          if (head < 0 || head >= static_cast<int64_t>(layer.heads.size()))
            refuse(place + ": alike names a head that the layer does not have");
      vitals.layers.push_back(std::move(layer));
    }
  } catch (const Json::exception& problem) {
    refuse(fmt::format("{}: {}", place, tensorfile::json_problem(problem)));
  }
  return vitals;
}

}  // namespace headlight::lab
