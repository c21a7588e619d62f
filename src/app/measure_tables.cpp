#include "app/measure_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "report/number.h"
#include "report/table.h"
#include "report/terminal.h"

namespace headlight::app {
namespace {

using namespace heads;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::string number(std::optional<double> value) {
  return report::significant(value.value_or(kNaN));
}

// The mean, or the median where some sequences are infinite.
std::string number(const Spread& spread) {
  return number(spread.mean ? spread.mean : spread.median);
}

std::string share(std::optional<double> value) { return report::percent(value.value_or(kNaN), 0); }

std::string rendered(const report::Table& table) {
  return report::render(table, report::terminal_width(), report::use_colour());
}

// One row per head: what it looks at, and what it passes on.
template <typename Result, typename Layer>
std::string head_table(const Result& result, const std::vector<int64_t>& heads,
                       const Layer* layer) {
  report::Table table;
  table.columns = {{.title = "head"},
                   {.title = "role", .right = false},
                   {.title = "entropy"},
                   {.title = "eff. keys"},
                   {.title = "first token"}};
  if (result.cross) {
    table.columns.push_back({.title = "monotone"});
    table.columns.push_back({.title = "coverage"});
  } else {
    table.columns.push_back({.title = "distance"});
  }
  if (layer) {
    table.columns.push_back({.title = "hitting"});
    table.columns.push_back({.title = "fidelity"});
  }
  for (size_t place = 0; place < heads.size(); ++place) {
    const int64_t h = heads[place];
    const Structure& s = result.structure[h];
    std::vector<std::string> row = {
        fmt::to_string(place), result.roles[h].empty() ? "not a number" : result.roles[h].front(),
        number(s.entropy_nats), number(s.effective_keys), share(s.first_token_mass)};
    if (result.cross) {
      row.push_back(number(s.monotone));
      row.push_back(number(s.coverage));
    } else {
      row.push_back(number(s.distance_mean));
    }
    if (layer) {
      row.push_back(number(layer->heads[place].hitting_mean));
      row.push_back(number(layer->heads[place].fidelity));
    }
    table.rows.push_back(std::move(row));
  }
  return rendered(table);
}

std::string redundancy_text(const Redundancy& redundancy,
                            const std::vector<std::vector<int64_t>>& layers) {
  std::string text = fmt::format("\nEffective heads: {} of {}", number(redundancy.effective_heads),
                                 redundancy.bhattacharyya.size());
  if (layers.size() > 1) {
    text += " (by layer";
    for (const auto& one : redundancy.effective_heads_per_layer) text += " " + number(one);
    text += ')';
  }
  text += '\n';
  std::string groups;
  for (size_t label = 0; label < redundancy.medoids.size(); ++label) {
    std::string members;
    int64_t count = 0;
    for (size_t h = 0; h < redundancy.clusters.size(); ++h) {
      if (redundancy.clusters[h] != static_cast<int64_t>(label)) continue;
      members += fmt::format("{}{}", count ? " " : "", h);
      ++count;
    }
    if (count > 1)
      groups += fmt::format("  {} (closest to all: {})\n", members, redundancy.medoids[label]);
  }
  if (redundancy.clusters.empty()) return text;
  return text + (groups.empty() ? "No two heads look at the same keys (Hellinger distance above " +
                                      report::significant(redundancy.cluster_threshold) + ").\n"
                                : "Heads that look at the same keys:\n" + groups);
}

struct CombinedNumbers {
  Spread gain_fidelity, gain_mixing, gain_hitting;
  std::string fidelity, mixing, hitting;
};

Spread single(std::optional<double> value) {
  return spread_of(value ? std::vector<double>{*value} : std::vector<double>{});
}

CombinedNumbers numbers_of(const LayerFlow& layer) {
  const CombinedFlow& c =
      layer.combined_output_norm ? *layer.combined_output_norm : layer.combined_uniform;
  return {single(c.gain_fidelity), single(c.gain_mixing_published), single(c.gain_hitting),
          number(c.flow.fidelity), number(c.flow.mixing_published), number(c.flow.hitting_mean)};
}

CombinedNumbers numbers_of(const LayerFlowSpread& layer) {
  const CombinedFlowSpread& c =
      layer.combined_output_norm ? *layer.combined_output_norm : layer.combined_uniform;
  return {c.gain_fidelity,         c.gain_mixing_published,         c.gain_hitting,
          number(c.flow.fidelity), number(c.flow.mixing_published), number(c.flow.hitting_mean)};
}

// All heads of a layer as one graph, gains beside those of permuted rows.
template <typename Layer>
std::string combined_table(const std::vector<Layer>& flow, const std::optional<Chance>& chance) {
  report::Table table;
  table.columns = {{.title = "layer"},
                   {.title = "measure", .right = false},
                   {.title = "combined"},
                   {.title = "gain over best head"},
                   {.title = "by chance"}};
  for (size_t l = 0; l < flow.size(); ++l) {
    const CombinedNumbers own = numbers_of(flow[l]);
    CombinedNumbers random;
    if (chance) random = numbers_of(chance->layers[l]);
    const auto row = [&](const char* name, const std::string& value, const Spread& gain,
                         const Spread& by_chance) {
      table.rows.push_back({fmt::to_string(l), name, value,
                            gain.median ? number(gain.median) + " ×" : "–",
                            by_chance.median ? number(by_chance.median) + " ×" : "–"});
    };
    row("fidelity", own.fidelity, own.gain_fidelity, random.gain_fidelity);
    row("hitting time", own.hitting, own.gain_hitting, random.gain_hitting);
    row("mixing time (published)", own.mixing, own.gain_mixing, random.gain_mixing);
  }
  std::string text =
      "\nAll heads of a layer combined (above 1 ×: better than the best single head)\n" +
      rendered(table);
  if (chance)
    text += fmt::format(
        "By chance: median of {} draws with every row's weights permuted among its "
        "keys.\n",
        chance->draws);
  return text;
}

template <typename Result>
std::string tables(const Result& result, const AnalysisOptions& options,
                   const std::optional<Chance>& chance, const std::string& title) {
  std::vector<std::vector<int64_t>> layers = options.layers;
  if (layers.empty()) {
    layers.emplace_back();
    for (size_t h = 0; h < result.structure.size(); ++h)
      layers[0].push_back(static_cast<int64_t>(h));
  }
  std::string text = title;
  for (size_t l = 0; l < layers.size(); ++l) {
    if (layers.size() > 1) text += fmt::format("\nLayer {}\n", l);
    text += head_table(result, layers[l], result.flow.empty() ? nullptr : &result.flow[l]);
  }
  for (const BadHead& bad : result.bad_heads)
    text += fmt::format("Layer {}, head {}: not a number from row {} on; left out.\n", bad.layer,
                        bad.head, bad.row);
  if (result.redundancy) text += redundancy_text(*result.redundancy, layers);
  if (!result.flow.empty()) text += combined_table(result.flow, chance);
  return text;
}

std::string kind_of(bool cross, bool causal) {
  return cross ? "cross-attention" : causal ? "causal self-attention" : "self-attention";
}

}  // namespace

std::string tables_of(const Analysis& analysis, const AnalysisOptions& options,
                      const std::optional<Chance>& chance) {
  std::string title =
      fmt::format("{} of {}, {} rows", report::counted(std::ssize(analysis.structure), "head"),
                  kind_of(analysis.cross, analysis.causal), analysis.uniform_baseline.rows);
  if (!analysis.flow.empty())
    title += fmt::format("; information flows to token {}", analysis.flow[0].sink);
  title += '\n';
  if (!analysis.flow.empty() && analysis.flow[0].tokens > options.horizon)
    title += fmt::format(
        "Fidelity and published mixing time stop after {} steps (--horizon): what "
        "is farther away counts as 0.\n",
        options.horizon);
  return tables(analysis, options, chance, title);
}

std::string tables_of(const PooledAnalysis& analysis, const AnalysisOptions& options,
                      const std::optional<Chance>& chance) {
  return tables(
      analysis, options, chance,
      fmt::format("{} of {}, {} rows of {}\n",
                  report::counted(std::ssize(analysis.structure), "head"),
                  kind_of(analysis.cross, analysis.causal), analysis.uniform_baseline.rows,
                  report::counted(analysis.sequences, "sequence")));
}

}  // namespace headlight::app
