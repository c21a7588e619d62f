#include "report/head_roles.h"

#include <map>

namespace headlight::report {
namespace {

using heads::Structure;

struct Known {
  char letter;
  const char* words;
  std::optional<double> Structure::*number;
};

const std::map<std::string, Known> kRoles = {
    {"induction", {'I', "induction", &Structure::induction_score}},
    {"duplicate", {'D', "duplicate token", &Structure::duplicate_score}},
    {"alignment", {'A', "alignment", &Structure::confidence}},
    {"previous", {'P', "previous token", &Structure::previous_mass}},
    {"next", {'N', "next token", &Structure::next_mass}},
    {"self", {'S', "itself", &Structure::self_mass}},
    {"positional", {'O', "fixed offset", &Structure::positional_share}},
    {"sink", {'K', "sink on the first token", &Structure::first_token_mass}},
    {"separator", {'E', "separators", &Structure::separator_mass}},
    {"broad", {'B', "broad", &Structure::entropy_relative}},
    {"mixed", {'M', "mixed", &Structure::confidence}},
    {"undetermined", {'U', "no choice", nullptr}}};

}  // namespace

int64_t head_number(const study::InspectedLayer& layer, size_t head) {
  return head < layer.numbers.size() ? layer.numbers[head] : static_cast<int64_t>(head);
}

RoleOfHead role_of(const study::InspectedLayer& layer, size_t head) {
  const auto& roles = layer.analysis.roles[head];
  if (roles.empty()) return {.name = "", .letter = '!', .words = "not a number", .strength = {}};
  RoleOfHead role{.name = roles.front()};
  const Structure& own = layer.analysis.structure[head];
  const std::string base = role.name.substr(0, role.name.find('('));
  if (base == "local") {
    role.letter = 'L';
    role.words = "within four tokens";
    role.strength = own.local_mass[2];
    return role;
  }
  const Known& known = kRoles.at(base);
  role.letter = known.letter;
  role.words = known.words;
  const bool probed = !layer.probe.empty() && (base == "induction" || base == "duplicate");
  if (known.number) role.strength = (probed ? layer.probe[head] : own).*known.number;
  return role;
}

std::vector<std::vector<size_t>> alike(const study::InspectedLayer& layer) {
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
