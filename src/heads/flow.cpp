#include "heads/flow.h"

#include <algorithm>
#include <cmath>

#include "heads/flow_of_layer.h"

namespace headlight::heads {

Flow flow_of_times(const std::vector<double>& hitting_times) {
  Flow flow;
  summarise_hitting({hitting_times, std::nullopt}, flow);
  return flow;
}

Flow flow_of_graph(const TokenGraph& graph, const AnalysisOptions& options,
                   const std::vector<double>* known) {
  Flow flow;
  summarise_hitting(known ? HittingTimes{*known, std::nullopt} : hitting_times(graph), flow);
  if (!options.many_steps) return flow;
  flow.mixing_published = published_mixing_time(graph, options.horizon);
  // Without hitting times (an iterative solve that failed) reachability is still known to be full.
  const ThresholdTimes times = threshold_times(graph, flow.unreachable.value_or(0),
                                               options.step_limit, options.memory_budget);
  flow.forward_mixing = times.forward;
  flow.forward_mixing_l1 = times.forward_l1;
  flow.backward_mixing = times.backward;
  summarise_fidelity(arrivals(graph, options.horizon), graph.sink(), flow);
  return flow;
}

Spread spread_of(std::vector<double> values) {
  Spread spread;
  spread.count = static_cast<int64_t>(values.size());
  if (values.empty()) return spread;
  for (double value : values) spread.infinite += std::isinf(value);
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  spread.median = values.size() % 2 || values[half - 1] == values[half]
                      ? values[half]
                      : (values[half - 1] + values[half]) / 2;
  if (spread.infinite > 0) return spread;
  const double n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (double value : values) sum += value;
  for (double value : values) squares += (value - sum / n) * (value - sum / n);
  spread.mean = sum / n;
  spread.standard_deviation = std::sqrt(squares / n);
  return spread;
}

namespace {

// Collects one value from each flow that has it.
template <typename Get>
Spread spread_by(const std::vector<const Flow*>& flows, const Get& get) {
  std::vector<double> values;
  for (const Flow* flow : flows)
    if (const std::optional<double> value = get(*flow)) values.push_back(*value);
  return spread_of(std::move(values));
}

std::optional<double> steps_of(const std::optional<Steps>& steps) {
  if (!steps) return std::nullopt;
  return steps->more_than ? HUGE_VAL : steps->count;
}

FlowSpread spread_of_flows(const std::vector<const Flow*>& flows) {
  FlowSpread out;
  out.mixing_published = spread_by(flows, [](const Flow& f) { return f.mixing_published; });
  out.hitting_mean = spread_by(flows, [](const Flow& f) { return f.hitting_mean; });
  out.hitting_max = spread_by(flows, [](const Flow& f) { return f.hitting_max; });
  out.hitting_mean_reachable =
      spread_by(flows, [](const Flow& f) { return f.hitting_mean_reachable; });
  out.unreachable = spread_by(flows, [](const Flow& f) -> std::optional<double> {
    if (!f.unreachable) return std::nullopt;
    return static_cast<double>(*f.unreachable);
  });
  out.forward_mixing = spread_by(flows, [](const Flow& f) { return steps_of(f.forward_mixing); });
  out.forward_mixing_l1 =
      spread_by(flows, [](const Flow& f) { return steps_of(f.forward_mixing_l1); });
  out.backward_mixing = spread_by(flows, [](const Flow& f) { return steps_of(f.backward_mixing); });
  out.fidelity_published = spread_by(flows, [](const Flow& f) { return f.fidelity_published; });
  out.fidelity = spread_by(flows, [](const Flow& f) { return f.fidelity; });
  out.normalised_fidelity = spread_by(flows, [](const Flow& f) { return f.normalised_fidelity; });
  out.normalised_fidelity_published =
      spread_by(flows, [](const Flow& f) { return f.normalised_fidelity_published; });
  return out;
}

CombinedFlowSpread spread_of_combined(const std::vector<const CombinedFlow*>& all) {
  CombinedFlowSpread out;
  std::vector<const Flow*> flows;
  for (const CombinedFlow* one : all) flows.push_back(&one->flow);
  out.flow = spread_of_flows(flows);
  const auto gains = [&](std::optional<double> CombinedFlow::*value) {
    std::vector<double> values;
    for (const CombinedFlow* one : all)
      if (one->*value) values.push_back(*(one->*value));
    return spread_of(std::move(values));
  };
  const auto share = [&](std::optional<bool> CombinedFlow::*value) -> std::optional<double> {
    double held = 0, known = 0;
    for (const CombinedFlow* one : all)
      if (one->*value) {
        held += *(one->*value);
        known += 1;
      }
    if (known == 0) return std::nullopt;
    return held / known;
  };
  out.gain_fidelity_published = gains(&CombinedFlow::gain_fidelity_published);
  out.gain_fidelity = gains(&CombinedFlow::gain_fidelity);
  out.gain_mixing_published = gains(&CombinedFlow::gain_mixing_published);
  out.gain_hitting = gains(&CombinedFlow::gain_hitting);
  out.synergy_fidelity_published = share(&CombinedFlow::synergy_fidelity_published);
  out.synergy_fidelity = share(&CombinedFlow::synergy_fidelity);
  out.synergy_mixing_published = share(&CombinedFlow::synergy_mixing_published);
  out.synergy_hitting = share(&CombinedFlow::synergy_hitting);
  return out;
}

}  // namespace

LayerFlowSpread spread_over_sequences(const std::vector<LayerFlow>& sequences) {
  LayerFlowSpread out;
  out.sequences = static_cast<int64_t>(sequences.size());
  if (sequences.empty()) return out;
  std::vector<double> tokens;
  std::vector<const CombinedFlow*> uniform, output_norm;
  for (const LayerFlow& one : sequences) {
    tokens.push_back(static_cast<double>(one.tokens));
    uniform.push_back(&one.combined_uniform);
    if (one.combined_output_norm) output_norm.push_back(&*one.combined_output_norm);
  }
  out.tokens = spread_of(std::move(tokens));
  for (size_t h = 0; h < sequences.front().heads.size(); ++h) {
    std::vector<const Flow*> flows;
    for (const LayerFlow& one : sequences) flows.push_back(&one.heads[h]);
    out.heads.push_back(spread_of_flows(flows));
  }
  out.combined_uniform = spread_of_combined(uniform);
  if (!output_norm.empty()) out.combined_output_norm = spread_of_combined(output_norm);
  return out;
}

}  // namespace headlight::heads
