#include "report/ranking_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/number.h"
#include "report/table.h"
#include "report/terminal.h"

namespace headlight::report {
namespace {

using lab::HeadLayer;
using lab::Importance;
using lab::Ranking;

constexpr size_t kListed = 6;  // heads at either end
constexpr size_t kPoints = 8;  // of a curve

std::string signed_number(double value, int digits) {
  const std::string text = significant(value, digits);
  return value > 0 ? "+" + text : text;
}

// Thousandths of nats, with a decimal where none of them is large.
std::vector<std::string> cells_of(const std::vector<double>& costs) {
  double largest = 0;
  for (const double cost : costs) largest = std::max(largest, std::abs(cost));
  std::vector<std::string> cells;
  for (const double cost : costs) {
    std::string text = fmt::format("{:.{}f}", std::abs(cost) * 1000, largest < 0.05 ? 1 : 0);
    const bool zero = text.find_first_not_of("0.") == std::string::npos;
    cells.push_back(cost < 0 && !zero ? "−" + text : text);
  }
  return cells;
}

std::string grid(const Ranking& ranking, int width, bool colour) {
  constexpr int kLabel = 14;
  const std::vector<double>& costs = ranking.of_heads.ablation_zero;
  const std::vector<std::string> cells = cells_of(costs);
  const double largest = *std::ranges::max_element(costs);
  int cell = 3;
  int64_t heads = 1;
  for (const std::string& text : cells) cell = std::max(cell, display_width(text) + 1);
  for (const HeadLayer& layer : ranking.layers) heads = std::max(heads, layer.heads);
  const int64_t in_line = std::clamp<int64_t>((width - kLabel) / cell, 1, heads);
  std::string out(static_cast<size_t>(kLabel), ' ');
  for (int64_t h = 0; h < in_line; ++h) out += fmt::format("{:>{}}", h, cell);
  out += '\n';
  for (const HeadLayer& layer : ranking.layers) {
    std::string line =
        fmt::format("{:<{}}", fmt::format("{}.{}", layer.stack, layer.layer), kLabel);
    for (int64_t h = 0; h < layer.heads; ++h) {
      const auto at = static_cast<size_t>(layer.first + h);
      if (h > 0 && h % in_line == 0) line += "\n" + std::string(kLabel, ' ');
      line += std::string(static_cast<size_t>(cell - display_width(cells[at])), ' ') +
              painted(cells[at], largest > 0 ? std::sqrt(std::max(costs[at] / largest, 0.0)) : 0,
                      colour);
    }
    out += line + "\n";
  }
  return out;
}

std::vector<std::string> row(const Ranking& ranking, size_t head) {
  const Importance& found = ranking.of_heads;
  std::vector<std::string> cells = {model::name_of(ranking.heads[head]),
                                    significant(found.scores.gate_gradient_per_example[head]),
                                    signed_number(found.scores.gate_gradient[head], 3),
                                    signed_number(found.ablation_zero[head], 3)};
  if (!found.zero_intervals.empty())
    cells.push_back(fmt::format("{} to {}", signed_number(found.zero_intervals[head].low, 2),
                                signed_number(found.zero_intervals[head].high, 2)));
  cells.push_back(signed_number(found.ablation_mean[head], 3));
  return cells;
}

std::string ends(const Ranking& ranking, int width, bool colour) {
  const std::vector<double>& costs = ranking.of_heads.ablation_zero;
  std::vector<size_t> order(costs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t head) { return costs[head]; });
  Table table{.columns = {{.title = "head", .right = false},
                          {.title = "gate", .drop = 3},
                          {.title = "gate, signed", .drop = 2},
                          {.title = "taken away"},
                          {.title = "95 % interval", .drop = 1},
                          {.title = "at its mean"}}};
  if (ranking.of_heads.zero_intervals.empty()) table.columns.erase(table.columns.begin() + 4);
  const bool all = order.size() <= 2 * kListed + 1;
  for (size_t i = 0; i < order.size(); ++i) {
    if (all || i < kListed || i + kListed >= order.size())
      table.rows.push_back(row(ranking, order[i]));
    else if (i == kListed)
      table.rows.push_back({"…"});
  }
  return render(table, width, colour);
}

// As many of its points as the width has room for, both ends among them.
std::string curve(const heads::RemovalCurve& curve, int width, bool colour) {
  const size_t last = curve.losses.size() - 1;
  for (size_t points = std::min(last + 1, kPoints);; --points) {
    Table table{.columns = {{.title = "gone", .right = false}}, .rows = {{"loss"}}};
    int needed = 4;
    for (size_t i = 0; i < points; ++i) {
      const size_t k = i * last / std::max<size_t>(1, points - 1);
      table.columns.push_back({.title = fmt::to_string(k)});
      table.rows[0].push_back(significant(curve.losses[k], 4));
      needed += 2 + std::max(display_width(table.columns.back().title),
                             display_width(table.rows[0].back()));
    }
    if (needed <= width || points <= 2) return render(table, width, colour);
  }
}

std::string agreement(const Importance& found) {
  const auto text = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.2f}", *value) : std::string("–");
  };
  return fmt::format(
      "Gates and removals agree on the order of heads with a rank correlation (Spearman) of {}; "
      "with heads held at their mean it is {}.",
      text(found.spearman_gate_zero), text(found.spearman_gate_mean));
}

std::string free_heads(const heads::RemovalCurve& curve, double tolerance, const char* unit) {
  const int64_t most = heads::free_heads(curve.losses, tolerance);
  return fmt::format("{} of {} can go for {:.3g} nats.", most,
                     counted(static_cast<int64_t>(curve.order.size()), unit), tolerance);
}

}  // namespace

std::string ranking_text(const Ranking& ranking, double tolerance, int width, bool colour) {
  const Importance& found = ranking.of_heads;
  std::string out =
      wrapped("What one head taken away adds to the loss, in thousandths of nats:", width) + "\n" +
      grid(ranking, width, colour) + "\n" + ends(ranking, width, colour);
  out += wrapped(
             "gate: mean size of an example's loss gradient by the head's gate; signed: of the "
             "loss of all labels. Costs in nats per label.",
             width) +
         "\n\n";
  const auto add = [&](const std::string& sentence) { out += wrapped(sentence, width) + "\n"; };
  add(agreement(found));
  const auto add_curve = [&](const std::string& title, const heads::RemovalCurve& losses,
                             const char* unit) {
    out += "\n" + wrapped(title + " " + free_heads(losses, tolerance, unit), width) + "\n" +
           curve(losses, width, colour);
  };
  if (found.greedy)
    add_curve("Heads go greedily, the cheapest of those left next:", *found.greedy, "head");
  add_curve("Heads go by gate, without looking again:", *found.gate, "head");
  if (ranking.groups.empty()) return out;
  if (ranking.of_groups.greedy)
    add_curve("Groups of heads that share keys go greedily:", *ranking.of_groups.greedy, "group");
  add_curve("Groups of heads that share keys go by gate:", *ranking.of_groups.gate, "group");
  add("Such heads can only be pruned together.");
  return out;
}

}  // namespace headlight::report
