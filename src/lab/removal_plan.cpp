#include "lab/removal_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "lab/ranking.h"
#include "lab/removal_losses.h"
#include "model/cut_heads.h"

namespace headlight::lab {
namespace {

using model::HeadPlace;

// Heads that can only go together.
using Removable = std::vector<HeadPlace>;

std::vector<Removable> units_of(const Ranking& ranking) {
  std::vector<Removable> units;
  if (ranking.groups.empty())
    for (const HeadPlace& head : ranking.heads) units.push_back({head});
  for (const std::vector<int64_t>& group : ranking.groups) {
    Removable& unit = units.emplace_back();
    for (const int64_t place : group) unit.push_back(ranking.heads[static_cast<size_t>(place)]);
  }
  return units;
}

RemovalPlan by_order(const std::vector<Removable>& units, const heads::RemovalCurve& curve) {
  RemovalPlan plan;
  std::vector<HeadPlace> gone;
  for (size_t step = 0; step < units.size(); ++step) {
    plan.steps.push_back(gone);
    plan.losses.push_back(curve.losses[step]);
    const Removable& next = units[static_cast<size_t>(curve.order[step])];
    gone.insert(gone.end(), next.begin(), next.end());
  }
  return plan;
}

// The units of every layer by ascending score: step k takes the first k of each.
std::vector<std::vector<Removable>> by_layer(const model::Config& config,
                                             const std::vector<Removable>& units,
                                             std::vector<double> scores) {
  using Layer = std::pair<std::string, int64_t>;
  std::map<Layer, std::vector<size_t>> layers;
  for (size_t i = 0; i < units.size(); ++i)
    layers[{units[i][0].stack, units[i][0].layer}].push_back(i);
  if (config.position == model::Position::relative) {
    // What all layers of a stack keep is decided by their sum.
    std::map<std::string, std::map<size_t, double>> sums;
    for (const auto& [layer, own] : layers)
      for (size_t i = 0; i < own.size(); ++i) sums[layer.first][i] += scores[own[i]];
    for (const auto& [layer, own] : layers)
      for (size_t i = 0; i < own.size(); ++i)
        if (layer.first != "cross") scores[own[i]] = sums[layer.first][i];
  }
  std::vector<std::vector<Removable>> sorted;
  for (auto& [layer, own] : layers) {
    std::ranges::stable_sort(own, {}, [&](size_t unit) { return scores[unit]; });
    auto& rows = sorted.emplace_back();
    for (const size_t unit : own) rows.push_back(units[unit]);
  }
  return sorted;
}

RemovalPlan alike(const model::Transformer& model, const std::vector<Example>& examples,
                  const std::vector<std::vector<Removable>>& layers) {
  RemovalPlan plan;
  size_t fewest = layers.empty() ? 0 : layers[0].size();
  for (const auto& layer : layers) fewest = std::min(fewest, layer.size());
  const std::vector<Batch> batches =
      batches_of(model.config, examples, tokens_at_once(model.config));
  for (size_t step = 0; step < fewest; ++step) {
    std::vector<HeadPlace>& gone = plan.steps.emplace_back();
    for (const auto& layer : layers)
      for (size_t i = 0; i < step; ++i) gone.insert(gone.end(), layer[i].begin(), layer[i].end());
    const model::Gates gates = model::closed_gates(model, gone);
    plan.losses.push_back(mean_loss(losses_of(model, batches, &gates)));
  }
  return plan;
}

}  // namespace

RemovalPlan plan_removal(const model::Transformer& model, const std::vector<Example>& examples,
                         bool uniform, uint64_t seed,
                         const std::function<void(double, double)>& advanced) {
  RankSettings settings;
  settings.ablations = false;
  settings.curve = !uniform;
  if (uniform) settings.greedy_losses = 0;
  settings.seed = seed;
  const Ranking ranking = rank(model, examples, settings, nullptr, advanced);
  const Importance& found = ranking.groups.empty() ? ranking.of_heads : ranking.of_groups;
  const std::vector<Removable> units = units_of(ranking);
  if (uniform)
    return alike(model, examples,
                 by_layer(model.config, units, found.scores.gate_gradient_per_example));
  RemovalPlan plan = by_order(units, found.greedy ? *found.greedy : *found.gate);
  plan.greedy = found.greedy.has_value();
  return plan;
}

size_t step_keeping(const RemovalPlan& plan, int64_t heads, int64_t keep) {
  size_t step = 0;
  while (step + 1 < plan.steps.size() &&
         heads - static_cast<int64_t>(plan.steps[step + 1].size()) >= keep)
    ++step;
  return step;
}

size_t step_within(const std::vector<double>& losses, double increase, size_t most) {
  size_t step = std::min(most, losses.size() - 1);
  while (step > 0 && !(losses[step] <= losses[0] + increase)) --step;
  return step;
}

Halves held_out(const std::vector<Example>& examples) {
  if (examples.size() < 2) return {examples, examples, false};
  constexpr size_t kEvery = 5;
  const size_t place = std::min(kEvery, examples.size()) - 1;
  Halves halves;
  for (size_t i = 0; i < examples.size(); ++i)
    (i % kEvery == place ? halves.measured_on : halves.chosen_on).push_back(examples[i]);
  return halves;
}

}  // namespace headlight::lab
