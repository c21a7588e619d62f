#include "lab/ranking_json.h"

#include <cmath>

namespace headlight::lab {
namespace {

using Json = nlohmann::ordered_json;

// Heads or groups of heads.
struct NamedUnits {
  const char* name;                      // of one
  std::vector<model::HeadPlace> places;  // the last number counts within the layer
  const std::vector<HeadLayer>& layers;
};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }
Json number(const heads::Interval& interval) {
  return {{"low", number(interval.low)}, {"high", number(interval.high)}};
}
Json number(const std::vector<int64_t>& heads) { return heads; }

// {stack: [layer][head]}. Layers without heads are empty lists.
template <typename T>
Json by_place(const NamedUnits& units, const std::vector<T>& values) {
  Json stacks = Json::object();
  for (const HeadLayer& layer : units.layers) stacks[layer.stack].push_back(Json::array());
  for (size_t i = 0; i < values.size(); ++i) {
    const model::HeadPlace& place = units.places[i];
    stacks[place.stack][static_cast<size_t>(place.layer)].push_back(number(values[i]));
  }
  return stacks;
}

Json json_of(const Importance& found, const NamedUnits& units, double tolerance) {
  Json json;
  const auto add = [&](const char* name, const auto& values) {
    json[name] = values.empty() ? Json(nullptr) : by_place(units, values);
  };
  add("gate_gradient", found.scores.gate_gradient);
  add("gate_gradient_absolute", found.scores.gate_gradient_absolute);
  add("gate_gradient_per_example", found.scores.gate_gradient_per_example);
  add("gate_gradient_per_example_l2", found.scores.gate_gradient_per_example_l2);
  add("ablation_loss", found.ablation_loss);
  add("ablation_zero", found.ablation_zero);
  add("ablation_mean", found.ablation_mean);
  if (!found.score_intervals.empty())
    json["intervals"]["gate_gradient_per_example"] = by_place(units, found.score_intervals);
  if (!found.zero_intervals.empty()) {
    json["intervals"]["ablation_zero"] = by_place(units, found.zero_intervals);
    json["intervals"]["ablation_mean"] = by_place(units, found.mean_intervals);
  }
  json["spearman_gate_zero"] = number(found.spearman_gate_zero);
  json["spearman_gate_mean"] = number(found.spearman_gate_mean);
  const auto add_curve = [&](const std::string& name,
                             const std::optional<heads::RemovalCurve>& curve) {
    json[name + "_order"] = json[name + "_curve"] = json[name + "_free"] = nullptr;
    if (!curve) return;
    json[name + "_order"] = Json::array();
    for (const int64_t at : curve->order) {
      const model::HeadPlace& place = units.places[static_cast<size_t>(at)];
      json[name + "_order"].push_back(
          {{"stack", place.stack}, {"layer", place.layer}, {units.name, place.head}});
    }
    json[name + "_curve"] = curve->losses;
    json[name + "_free"] = heads::free_heads(curve->losses, tolerance);
  };
  add_curve("gate", found.gate);
  add_curve("greedy", found.greedy);
  return json;
}

}  // namespace

Json to_json(const Ranking& ranking, double tolerance) {
  Json json = {{"examples", ranking.examples},
               {"scored_labels", ranking.scored},
               {"loss", ranking.loss},
               {"tolerance_nats", tolerance}};
  json.update(json_of(ranking.of_heads, {"head", ranking.heads, ranking.layers}, tolerance));
  if (ranking.groups.empty()) return json;
  NamedUnits groups{"group", {}, ranking.layers};
  std::vector<std::vector<int64_t>> members;
  for (const std::vector<int64_t>& group : ranking.groups) {
    std::vector<int64_t>& numbers = members.emplace_back();
    for (const int64_t head : group)
      numbers.push_back(ranking.heads[static_cast<size_t>(head)].head);
    model::HeadPlace place = ranking.heads[static_cast<size_t>(group[0])];
    const bool same = !groups.places.empty() && groups.places.back().stack == place.stack &&
                      groups.places.back().layer == place.layer;
    place.head = same ? groups.places.back().head + 1 : 0;
    groups.places.push_back(place);
  }
  json["groups"] = {{"heads", by_place(groups, members)}};
  json["groups"].update(json_of(ranking.of_groups, groups, tolerance));
  return json;
}

}  // namespace headlight::lab
