#include "report/head_grid.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "report/head_roles.h"
#include "report/number.h"
#include "report/terminal.h"

namespace headlight::report {
namespace {

using lab::InspectedLayer;

// How a grid of so many heads is laid out in a width.
struct Layout {
  int label = 0;    // columns of the name of a layer
  int cell = 1;     // columns of a head: a letter, and a space, and a percentage
  int in_line = 1;  // heads in one line
};

constexpr int kEffective = 11;  // "  effective"

Layout laid_out(int label, int64_t heads, int width) {
  Layout layout{.label = label};
  const int room = std::max(8, width - label - kEffective);
  for (const int cell : {5, 2, 1}) {
    layout.cell = cell;
    if (heads * cell <= room) break;
  }
  if (layout.cell == 1 && heads > room) layout.cell = 2;
  layout.in_line = static_cast<int>(std::min<int64_t>(heads, room / layout.cell));
  return layout;
}

std::string cell_of(const InspectedLayer& layer, size_t head, const Layout& layout, bool colour) {
  const RoleOfHead role = role_of(layer, head);
  std::string text(1, role.letter);
  if (layout.cell == 5 && role.strength)
    text += fmt::format("{:<3}", std::min(99L, std::lround(*role.strength * 100)));
  const int filled = static_cast<int>(text.size());
  return painted(text, role.strength.value_or(0), colour) +
         std::string(static_cast<size_t>(std::max(0, layout.cell - filled)), ' ');
}

std::optional<double> effective(const InspectedLayer& layer) {
  return layer.analysis.redundancy ? layer.analysis.redundancy->effective_heads : std::nullopt;
}

std::string grid_of(const std::vector<const InspectedLayer*>& layers, int width, bool colour) {
  size_t most = 0;
  for (const InspectedLayer* layer : layers)
    most = std::max(most, layer->analysis.structure.size());
  const Layout layout = laid_out(7, static_cast<int64_t>(most), width);
  const int64_t queries = layers.front()->queries, keys = layers.front()->keys;
  std::string out =
      fmt::format("{}: {}, {}{}\n", layers.front()->stack,
                  counted(static_cast<int64_t>(layers.size()), "layer"), counted(queries, "token"),
                  keys != queries ? fmt::format(" that read {}", keys) : "");
  std::string head_line(static_cast<size_t>(layout.label), ' ');
  for (int h = 0; h < layout.in_line; ++h) {
    const bool named = layout.cell > 2 || h % 5 == 0;
    const std::string number = named ? std::to_string(h) : "";
    const int place = layout.label + h * layout.cell;
    if (std::ssize(head_line) > place) continue;
    head_line.resize(static_cast<size_t>(place), ' ');
    head_line += number;
  }
  const int end = layout.label + layout.in_line * layout.cell;
  head_line.resize(std::max(static_cast<size_t>(end), head_line.size()), ' ');
  out += head_line + "  effective\n";
  for (const InspectedLayer* layer : layers) {
    const size_t heads = layer->analysis.structure.size();
    for (size_t first = 0; first < heads; first += static_cast<size_t>(layout.in_line)) {
      const size_t last = std::min(heads, first + static_cast<size_t>(layout.in_line));
      std::string line = first == 0 ? fmt::format("{:>5}  ", layer->layer)
                                    : std::string(static_cast<size_t>(layout.label), ' ');
      for (size_t h = first; h < last; ++h) line += cell_of(*layer, h, layout, colour);
      const size_t missing = static_cast<size_t>(layout.in_line) - (last - first);
      line += std::string(missing * static_cast<size_t>(layout.cell), ' ');
      if (last == heads)
        if (const auto number = effective(*layer)) line += fmt::format("  {:.1f}", *number);
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
  }
  return out;
}

// Wrapped, later lines below the first word behind `title`.
std::string listing(const std::string& title, const std::string& text, int width) {
  constexpr int kIndent = 11;
  std::string lines = wrapped(text, std::max(20, width - kIndent));
  for (size_t at = 0; (at = lines.find('\n', at)) != std::string::npos; at += 1 + kIndent)
    lines.insert(at + 1, kIndent, ' ');
  return fmt::format("{:<{}}{}\n", title, kIndent, lines);
}

std::string legend(const lab::Inspection& inspection, int width) {
  std::map<std::string, std::pair<char, int64_t>> counts;
  for (const InspectedLayer& layer : inspection.layers)
    for (size_t h = 0; h < layer.analysis.structure.size(); ++h) {
      const RoleOfHead role = role_of(layer, h);
      auto& [letter, count] = counts[role.words];
      letter = role.letter;
      ++count;
    }
  std::vector<std::string> parts;
  for (const auto& [words, found] : counts)
    parts.push_back(fmt::format("{} {} ({})", found.first, words, found.second));
  return listing("letters", fmt::format("{}", fmt::join(parts, "; ")), width);
}

// Long lists stop after some entries: all of them are in --json.
std::string some(const std::vector<std::string>& parts, size_t most) {
  const size_t shown = std::min(parts.size(), most);
  std::string text =
      fmt::format("{}", fmt::join(parts.begin(), parts.begin() + static_cast<long>(shown), "; "));
  if (shown < parts.size()) text += fmt::format("; and {} more", parts.size() - shown);
  return text;
}

std::vector<std::string> groups(const lab::Inspection& inspection) {
  std::vector<std::string> all;
  for (const InspectedLayer& layer : inspection.layers)
    for (const std::vector<size_t>& group : alike(layer)) {
      std::vector<int64_t> numbers;
      for (const size_t h : group) numbers.push_back(head_number(layer, h));
      all.push_back(fmt::format("{}.{}: {}", layer.stack, layer.layer, fmt::join(numbers, " ")));
    }
  return all;
}

std::vector<std::string> sinks(const lab::Inspection& inspection) {
  std::vector<std::pair<double, std::string>> found;
  for (const InspectedLayer& layer : inspection.layers)
    for (size_t h = 0; h < layer.analysis.structure.size(); ++h) {
      const heads::Structure& head = layer.analysis.structure[h];
      if (role_of(layer, h).name == "sink")
        found.emplace_back(-head.first_token_mass.value_or(0), head_name(layer, h));
    }
  std::sort(found.begin(), found.end());
  std::vector<std::string> all;
  for (const auto& [mass, name] : found) all.push_back(fmt::format("{} {:.2f}", name, -mass));
  return all;
}

}  // namespace

std::string head_name(const InspectedLayer& layer, size_t head) {
  return fmt::format("{}.{}.{}", layer.stack, layer.layer, head_number(layer, head));
}

std::string head_grid(const lab::Inspection& inspection, int width, bool colour) {
  std::vector<std::vector<const InspectedLayer*>> stacks;
  for (const InspectedLayer& layer : inspection.layers) {
    if (stacks.empty() || stacks.back().front()->stack != layer.stack) stacks.emplace_back();
    stacks.back().push_back(&layer);
  }
  std::string out;
  for (const auto& layers : stacks) out += grid_of(layers, width, colour) + "\n";
  out += legend(inspection, width);
  out += listing("effective", "how many different heads a layer's heads amount to", width);
  if (const auto all = groups(inspection); !all.empty())
    out += listing("alike", some(all, 8), width);
  if (const auto all = sinks(inspection); !all.empty())
    out += listing("sinks", some(all, 10), width);
  std::vector<std::string> bad;
  for (const InspectedLayer& layer : inspection.layers)
    for (const heads::BadHead& head : layer.analysis.bad_heads)
      bad.push_back(fmt::format("{} (row {})", head_name(layer, size_t(head.head)), head.row));
  if (!bad.empty())
    out += listing("broken", "NaN or infinity in the scores of " + some(bad, 10), width);
  return out;
}

}  // namespace headlight::report
