// Which sentences about a model are worth a reader's time.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/head_grid.h"
#include "report/head_roles.h"
#include "report/number.h"

namespace headlight::report {
namespace {

using lab::InspectedLayer;

// How far a number is from what would surprise nobody, 0 to 1.
struct Sentence {
  double surprise = 0;
  std::string text;
};

int64_t heads_of(const lab::Inspection& inspection) {
  int64_t count = 0;
  for (const InspectedLayer& layer : inspection.layers)
    count += static_cast<int64_t>(layer.analysis.structure.size());
  return count;
}

// The strongest head of every role that says where a head looks.
void clearest_heads(const lab::Inspection& inspection, std::vector<Sentence>& out) {
  static const std::map<std::string, std::pair<const char*, double>> kTelling = {
      {"induction", {"looks at what followed the earlier copy of a repeated token", 1.0}},
      {"duplicate", {"looks at earlier copies of the same token", 0.9}},
      {"previous", {"looks at the token just before", 0.8}},
      {"next", {"looks at the token just behind", 0.8}},
      {"alignment", {"follows the source in order", 0.9}},
      {"self", {"looks at its own token", 0.6}}};
  for (const auto& [name, said] : kTelling) {
    const InspectedLayer* best = nullptr;
    size_t best_head = 0;
    double most = -1;
    int64_t count = 0;
    for (const InspectedLayer& layer : inspection.layers)
      for (size_t h = 0; h < layer.analysis.structure.size(); ++h) {
        const RoleOfHead role = role_of(layer, h);
        if (role.name != name) continue;
        ++count;
        if (role.strength.value_or(0) <= most) continue;
        most = role.strength.value_or(0);
        best = &layer;
        best_head = h;
      }
    if (!best) continue;
    const std::string others = count > 1 ? fmt::format("; {} more {} the same less clearly",
                                                       count - 1, count == 2 ? "does" : "do")
                                         : "";
    const bool probed = name == "induction" || name == "duplicate";
    out.push_back(
        {most * said.second,
         fmt::format("{} {}: {} of its attention{}{}.", head_name(*best, best_head), said.first,
                     percent(most, 0),
                     probed && !best->probe.empty() ? " on repeated random tokens" : "", others)});
  }
}

void resting_heads(const lab::Inspection& inspection, std::vector<Sentence>& out) {
  int64_t sinks = 0, broad = 0;
  std::map<std::string, int64_t> by_layer;
  for (const InspectedLayer& layer : inspection.layers)
    for (size_t h = 0; h < layer.analysis.structure.size(); ++h) {
      const std::string name = role_of(layer, h).name;
      broad += name == "broad";
      if (name != "sink") continue;
      ++sinks;
      ++by_layer[fmt::format("{}.{}", layer.stack, layer.layer)];
    }
  const double all = static_cast<double>(std::max<int64_t>(heads_of(inspection), 1));
  if (sinks > 0) {
    const auto most = std::max_element(by_layer.begin(), by_layer.end(),
                                       [](auto& a, auto& b) { return a.second < b.second; });
    out.push_back({0.5 + 0.5 * double(sinks) / all,
                   fmt::format("{} of {} rest on the first token (more than 30 % of their "
                               "attention), most of them in layer {} ({}).",
                               sinks, counted(int64_t(all), "head"), most->first, most->second)});
  }
  if (broad > 0)
    out.push_back({0.8 * double(broad) / all,
                   fmt::format("{} of {} spread their attention almost evenly: entropy at 90 % of "
                               "its maximum or more.",
                               broad, counted(int64_t(all), "head"))});
}

void redundant_layer(const lab::Inspection& inspection, std::vector<Sentence>& out) {
  const InspectedLayer* least = nullptr;
  double share = 2, total = 0;
  int64_t counted_heads = 0;
  for (const InspectedLayer& layer : inspection.layers) {
    const auto heads = static_cast<double>(layer.analysis.structure.size());
    if (heads < 2 || !layer.analysis.redundancy || !layer.analysis.redundancy->effective_heads)
      continue;
    const double number = *layer.analysis.redundancy->effective_heads;
    total += number;
    counted_heads += int64_t(heads);
    if (number / heads >= share) continue;
    share = number / heads;
    least = &layer;
  }
  if (!least) return;
  const double number = *least->analysis.redundancy->effective_heads;
  const auto groups = alike(*least);
  out.push_back(
      {1 - share,
       fmt::format("Layer {}.{} repeats itself most: its {} heads look at things as {:.1f} "
                   "different ones would{}; all {} heads amount to {:.1f}, layer by layer.",
                   least->stack, least->layer, least->analysis.structure.size(), number,
                   groups.empty()
                       ? ""
                       : fmt::format(", with {}",
                                     counted(int64_t(groups.size()), "group") + " of near twins"),
                   counted_heads, total)});
}

void slowest_flow(const lab::Inspection& inspection, std::vector<Sentence>& out) {
  const auto steps = [](const InspectedLayer& layer) -> std::optional<double> {
    if (layer.analysis.flow.empty()) return std::nullopt;
    const heads::LayerFlowSpread& flow = layer.analysis.flow.front();
    return (flow.combined_output_norm ? *flow.combined_output_norm : flow.combined_uniform)
        .flow.hitting_mean.mean;
  };
  const InspectedLayer *fast = nullptr, *slow = nullptr;
  for (const InspectedLayer& layer : inspection.layers) {
    // Stacks read different texts: only the first one that has a graph.
    if (!steps(layer) || (fast && layer.stack != fast->stack)) continue;
    if (!fast || *steps(layer) < *steps(*fast)) fast = &layer;
    if (!slow || *steps(layer) > *steps(*slow)) slow = &layer;
  }
  if (!fast || fast == slow || *steps(*slow) <= 0) return;
  out.push_back({0.7 * (1 - *steps(*fast) / *steps(*slow)),
                 fmt::format("Information reaches the last token fastest in layer {}.{} ({} steps "
                             "on average over all tokens) and slowest in {}.{} ({}).",
                             fast->stack, fast->layer, significant(*steps(*fast)), slow->stack,
                             slow->layer, significant(*steps(*slow)))});
}

}  // namespace

std::vector<std::string> telling_sentences(const lab::Inspection& inspection, size_t count) {
  std::vector<Sentence> all;
  clearest_heads(inspection, all);
  resting_heads(inspection, all);
  redundant_layer(inspection, all);
  slowest_flow(inspection, all);
  std::stable_sort(all.begin(), all.end(),
                   [](const Sentence& a, const Sentence& b) { return a.surprise > b.surprise; });
  std::vector<std::string> texts;
  for (size_t i = 0; i < std::min(count, all.size()); ++i) texts.push_back(all[i].text);
  return texts;
}

}  // namespace headlight::report
