#include "report/head_roles.h"

#include <map>

namespace headlight::report {
namespace {

using heads::Structure;

struct Known {
  char letter;
  const char* colour;  // those of the page, on light ground
  const char* words;
  std::optional<double> Structure::*number;
};

const std::map<std::string, Known> kRoles = {
    {"induction", {'I', "#b34700", "induction", &Structure::induction_score}},
    {"duplicate", {'D', "#8f5b00", "duplicate token", &Structure::duplicate_score}},
    {"alignment", {'A', "#b34700", "alignment", &Structure::confidence}},
    {"previous", {'P', "#0b5fa5", "previous token", &Structure::previous_mass}},
    {"next", {'N', "#2a7f9e", "next token", &Structure::next_mass}},
    {"self", {'S', "#4a55b5", "itself", &Structure::self_mass}},
    {"positional", {'O', "#17607a", "fixed offset", &Structure::positional_share}},
    {"sink", {'K', "#7b3f8c", "sink on the first token", &Structure::first_token_mass}},
    {"separator", {'E', "#94406a", "separators", &Structure::separator_mass}},
    {"broad", {'B', "#3d7a4a", "broad", &Structure::entropy_relative}},
    {"mixed", {'M', "#6a665f", "mixed", &Structure::confidence}},
    {"undetermined", {'U', "#8d8981", "no choice", nullptr}}};

}  // namespace

int64_t head_number(const lab::InspectedLayer& layer, size_t head) {
  return head < layer.numbers.size() ? layer.numbers[head] : static_cast<int64_t>(head);
}

RoleOfHead role_of(const lab::InspectedLayer& layer, size_t head) {
  const auto& roles = layer.analysis.roles[head];
  if (roles.empty()) return {.words = "no weight, or not a number"};
  RoleOfHead role{.name = roles.front()};
  const Structure& own = layer.analysis.structure[head];
  const std::string base = role.name.substr(0, role.name.find('('));
  if (base == "local") {
    role.letter = 'L';
    role.colour = "#1d7f74";
    role.words = "within four tokens";
    role.strength = own.local_mass[2];
    return role;
  }
  const Known& known = kRoles.at(base);
  role.letter = known.letter;
  role.colour = known.colour;
  role.words = known.words;
  const bool probed = !layer.probe.empty() && (base == "induction" || base == "duplicate");
  if (known.number) role.strength = (probed ? layer.probe[head] : own).*known.number;
  return role;
}

std::vector<std::vector<size_t>> alike(const lab::InspectedLayer& layer) {
  std::vector<std::vector<size_t>> groups;
  if (!layer.analysis.redundancy) return groups;
  const std::vector<int64_t>& labels = layer.analysis.redundancy->clusters;
  for (size_t h = 0; h < labels.size(); ++h) {
    const auto label = static_cast<size_t>(labels[h]);
    if (groups.size() <= label) groups.resize(label + 1);
    groups[label].push_back(h);
  }
  std::erase_if(groups, [](const std::vector<size_t>& group) { return group.size() < 2; });
  return groups;
}

}  // namespace headlight::report
