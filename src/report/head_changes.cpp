#include "report/head_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/number.h"
#include "report/table.h"

namespace headlight::report {
namespace {

using lab::Change;
using lab::ComparedLayer;
using lab::HeadMatch;

std::string number(const std::optional<double>& value) {
  return value && !std::isnan(*value) ? fmt::format("{:.3f}", *value) : "–";
}

std::string head(const std::optional<int64_t>& place, const std::vector<int64_t>& numbers) {
  return place ? std::to_string(numbers[static_cast<size_t>(*place)]) : "–";
}

std::string layer_table(const lab::Comparison& comparison, int width, bool colour) {
  Table table{.columns = {{.title = "layer", .right = false},
                          {.title = "same"},
                          {.title = "moved"},
                          {.title = "died"},
                          {.title = "appeared"},
                          {.title = "farthest"},
                          {.title = "head"}},
              .rows = {}};
  for (const ComparedLayer& layer : comparison.layers) {
    const lab::ChangeCounts counts = lab::count_changes({.layers = {layer}});
    const HeadMatch* far = lab::farthest(layer);
    table.rows.push_back(
        {fmt::format("{}.{}", layer.stack, layer.layer), std::to_string(counts.same),
         std::to_string(counts.moved), std::to_string(counts.died), std::to_string(counts.appeared),
         far ? number(far->distance) : "–", far ? head(far->a, layer.heads_a) : "–"});
  }
  return render(table, width, colour);
}

struct Entry {
  const ComparedLayer* layer;
  const HeadMatch* match;
};

// Heads that stayed what and where they were are not listed.
std::vector<Entry> changed(const lab::Comparison& comparison) {
  std::vector<Entry> entries;
  for (const ComparedLayer& layer : comparison.layers)
    for (const HeadMatch& match : layer.matches) {
      const bool renumbered =
          match.a && match.b && layer.heads_a[size_t(*match.a)] != layer.heads_b[size_t(*match.b)];
      if (match.change != Change::same || renumbered) entries.push_back({&layer, &match});
    }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& one, const Entry& other) {
    return one.match->distance.value_or(2) > other.match->distance.value_or(2);
  });
  return entries;
}

}  // namespace

std::string head_changes(const lab::Comparison& comparison, const RoleNames& roles_a,
                         const RoleNames& roles_b, size_t most, int width, bool colour) {
  std::string out = layer_table(comparison, width, colour) + "\n";
  const std::vector<Entry> entries = changed(comparison);
  if (entries.empty()) return out + "Every head is where and what it was.\n";
  const auto role = [](const RoleNames& roles, const ComparedLayer& layer,
                       const std::optional<int64_t>& place, const std::vector<int64_t>& numbers) {
    if (!place) return std::string("–");
    const auto found = roles.find({layer.stack, layer.layer, numbers[static_cast<size_t>(*place)]});
    return found == roles.end() ? std::string("–") : found->second;
  };
  Table table{.columns = {{.title = "head", .right = false},
                          {.title = "is now", .drop = 0},
                          {.title = "change", .right = false},
                          {.title = "distance"},
                          {.title = "95 %", .right = false},
                          {.title = "pattern", .drop = 2},
                          {.title = "output", .drop = 2},
                          {.title = "next best", .drop = 1},
                          {.title = "was", .right = false, .drop = 3},
                          {.title = "is", .right = false, .drop = 3}},
              .rows = {}};
  const size_t shown = std::min(entries.size(), most);
  for (size_t i = 0; i < shown; ++i) {
    const auto& [layer, match] = entries[i];
    table.rows.push_back(
        {fmt::format("{}.{}.{}", layer->stack, layer->layer, head(match->a, layer->heads_a)),
         head(match->b, layer->heads_b), lab::name_of(match->change), number(match->distance),
         match->interval ? fmt::format("{:.3f}–{:.3f}", match->interval->low, match->interval->high)
                         : "–",
         number(match->pattern), number(match->output), number(match->runner_up),
         role(roles_a, *layer, match->a, layer->heads_a),
         role(roles_b, *layer, match->b, layer->heads_b)});
  }
  out += render(table, width, colour);
  if (shown < entries.size())
    out += fmt::format("and {} more; --json has all\n", entries.size() - shown);
  return out;
}

}  // namespace headlight::report
