#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/head_grid.h"
#include "report/head_roles.h"

namespace headlight::report {
namespace {

using lab::InspectedLayer;

constexpr int kCell = 30, kLeft = 92, kTop = 30, kGap = 26;

std::string text(int x, int y, const char* anchor, const char* colour, const std::string& words) {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", x, y,
                     anchor, colour, words);
}

std::string square(int x, int y, const RoleOfHead& role, const std::string& title) {
  const double strength = std::clamp(role.strength.value_or(0.3), 0.0, 1.0);
  return fmt::format(
      "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\" "
      "fill=\"{}\" fill-opacity=\"{:.2f}\"/>{}</g>\n",
      title, x, y, kCell - 3, kCell - 3, role.colour, 0.15 + 0.85 * strength,
      text(x + (kCell - 3) / 2, y + kCell / 2 + 3, "middle", strength > 0.45 ? "#fff" : "#1d1c1a",
           std::string(1, role.letter)));
}

std::string row_of(const InspectedLayer& layer, int y, int columns) {
  std::string out = text(kLeft - 10, y + kCell / 2 + 3, "end", "#6a665f",
                         fmt::format("{} {}", layer.stack, layer.layer));
  for (size_t h = 0; h < layer.analysis.structure.size(); ++h) {
    const RoleOfHead role = role_of(layer, h);
    const std::string strength = role.strength ? fmt::format(" {:.2f}", *role.strength) : "";
    out += square(kLeft + static_cast<int>(h) * kCell, y, role,
                  fmt::format("{}: {}{}", head_name(layer, h), role.words, strength));
  }
  if (layer.analysis.redundancy && layer.analysis.redundancy->effective_heads)
    out += text(kLeft + columns * kCell + 12, y + kCell / 2 + 3, "start", "#1d1c1a",
                fmt::format("{:.1f}", *layer.analysis.redundancy->effective_heads));
  return out;
}

}  // namespace

std::string head_grid_svg(const lab::Inspection& inspection) {
  size_t most = 1;
  std::map<std::string, std::pair<RoleOfHead, int>> roles;
  for (const InspectedLayer& layer : inspection.layers) {
    most = std::max(most, layer.analysis.structure.size());
    for (size_t h = 0; h < layer.analysis.structure.size(); ++h) {
      const RoleOfHead role = role_of(layer, h);
      auto& [like, count] = roles[role.words];
      like = role;
      like.strength = 1;
      ++count;
    }
  }
  const int columns = static_cast<int>(most);
  std::string body;
  for (int h = 0; h < columns; ++h)
    body +=
        text(kLeft + h * kCell + (kCell - 3) / 2, kTop - 8, "middle", "#6a665f", std::to_string(h));
  body += text(kLeft + columns * kCell + 12, kTop - 8, "start", "#6a665f", "effective");
  int y = kTop;
  std::string stack = inspection.layers.front().stack;
  for (const InspectedLayer& layer : inspection.layers) {
    if (layer.stack != stack) y += kGap / 2;
    stack = layer.stack;
    body += row_of(layer, y, columns);
    y += kCell;
  }
  y += kGap / 2;
  for (const auto& [words, found] : roles) {
    body += square(kLeft, y, found.first, words);
    body += text(kLeft + kCell + 6, y + kCell / 2 + 3, "start", "#1d1c1a",
                 fmt::format("{} ({})", words, found.second));
    y += kCell;
  }
  const int width = std::max(kLeft + columns * kCell + 90, 340);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\" "
      "aria-label=\"Roles of heads, layer by layer\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fdfcf9\"/>\n{2}</svg>\n",
      width, y + 10, body);
}

}  // namespace headlight::report
