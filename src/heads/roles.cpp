#include "heads/roles.h"

#include <cstdint>
#include <optional>

#include "heads/numbers.h"

namespace headlight::heads {
namespace {

// A threshold that a metric reaches; an undefined metric reaches nothing.
bool reaches(std::optional<double> value, double threshold) {
  return value && *value >= threshold - kEqual;
}

// The metric is also at least `times` that of uniform attention under the same mask.
bool stands_out(std::optional<double> value, std::optional<double> uniform, double threshold,
                double times) {
  return reaches(value, threshold) && uniform && reaches(value, times * *uniform);
}

struct Tests {
  const Structure& head;
  const Structure& baseline;
  double factor;

  bool at_offset(std::optional<double> Structure::*mass, int64_t offset) const {
    return stands_out(head.*mass, baseline.*mass, 0.4 * factor, 2 * factor) || fixed_at(offset);
  }
  bool fixed() const {
    return reaches(head.positional_share, 0.9 * factor) && head.positional_offset &&
           head.confidence && baseline.confidence &&
           reaches(head.confidence, 2 * factor * *baseline.confidence);
  }
  bool fixed_at(int64_t offset) const { return fixed() && *head.positional_offset == offset; }
};

bool repeats(std::optional<double> score, std::optional<double> uniform, double factor) {
  return stands_out(score, uniform, 0.4 * factor, 2 * factor);
}

std::vector<std::string> roles(const Structure& head, const Structure& baseline,
                               const Structure& probe, const Structure& probe_baseline, bool cross,
                               bool causal, double factor) {
  if (!head.entropy_nats) return {};
  const Tests test{head, baseline, factor};
  std::vector<std::string> names;
  if (!head.entropy_relative) names.push_back("undetermined");
  if (cross) {
    if (reaches(head.confidence, 0.5 * factor) && reaches(head.monotone, 0.7 * factor) &&
        reaches(head.coverage, 0.3 * factor))
      names.push_back("alignment");
    if (reaches(head.entropy_relative, 0.9 * factor)) names.push_back("broad");
    if (names.empty()) names.push_back("mixed");
    return names;
  }
  if (repeats(probe.induction_score, probe_baseline.induction_score, factor))
    names.push_back("induction");
  if (repeats(probe.duplicate_score, probe_baseline.duplicate_score, factor))
    names.push_back("duplicate");
  if (test.at_offset(&Structure::previous_mass, -1)) names.push_back("previous");
  if (!causal && test.at_offset(&Structure::next_mass, 1)) names.push_back("next");
  if (test.at_offset(&Structure::self_mass, 0)) names.push_back("self");
  if (test.fixed()) {
    const int64_t k = *head.positional_offset;
    if (k < -1 || k > 1)
      names.push_back("positional(" + std::string(k > 0 ? "+" : "") + std::to_string(k) + ")");
  }
  if (head.first_token_mass && *head.first_token_mass > 0.3 * factor + kEqual &&
      stands_out(head.first_token_mass_several, baseline.first_token_mass_several, 0.3 * factor,
                 2 * factor))
    names.push_back("sink");
  if (stands_out(head.separator_mass, baseline.separator_mass, 0.5 * factor, 2 * factor))
    names.push_back("separator");
  if (reaches(head.entropy_relative, 0.9 * factor)) names.push_back("broad");
  constexpr size_t kWithinFour = 2;
  static_assert(kLocalWidths[kWithinFour] == 4);
  if (stands_out(head.local_mass[kWithinFour], baseline.local_mass[kWithinFour], 0.8 * factor,
                 1.5 * factor))
    names.push_back("local");
  if (names.empty()) names.push_back("mixed");
  return names;
}

}  // namespace

std::vector<std::string> roles_of(const Structure& head, const Structure& baseline, bool cross,
                                  bool causal, const RoleRules& rules) {
  return roles(head, baseline, head, baseline, cross, causal, rules.factor);
}

std::vector<std::string> roles_with_probe(const Structure& head, const Structure& baseline,
                                          const Structure& probe, const Structure& probe_baseline,
                                          bool causal, const RoleRules& rules) {
  return roles(head, baseline, probe, probe_baseline, false, causal, rules.factor);
}

RoleSensitivity role_sensitivity(const std::vector<Structure>& heads, const Structure& baseline,
                                 bool cross, bool causal) {
  RoleSensitivity changes;
  for (const Structure& head : heads) {
    const auto first = [&](double factor) {
      const std::vector<std::string> names = roles_of(head, baseline, cross, causal, {factor});
      return names.empty() ? std::string() : names.front();
    };
    changes.lower += first(0.8) != first(1);
    changes.higher += first(1.2) != first(1);
  }
  return changes;
}

}  // namespace headlight::heads
