#include "lab/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headlight/error.h"

namespace headlight::lab {
namespace {

constexpr double kEqual = 1e-9;
// Of a limit that comes from a report: inspect writes six digits.
constexpr double kWritten = 1e-5;

bool has_role(const std::string& name, const std::string& wanted) {
  return name == wanted || (wanted == "positional" && name.starts_with("positional("));
}

double head_count(const Vitals& vitals) {
  size_t heads = 0;
  for (const Vitals::Layer& layer : vitals.layers) heads += layer.heads.size();
  return static_cast<double>(heads);
}

Place place_of(const Vitals::Layer& layer) { return {layer.stack, layer.layer, {}}; }

Place place_of(const Vitals::Layer& layer, size_t head) {
  return {layer.stack, layer.layer, {layer.heads.at(head)}};
}

// What a rule is about: its value, and where that comes from.
struct Finding {
  std::optional<double> value;
  std::vector<Place> where;
};

// Heads that are sinks. If one is undefined, so is the rate, and those heads are named.
Finding sink_rate(const Vitals& vitals) {
  Finding sinks, undefined;
  for (const Vitals::Layer& layer : vitals.layers)
    for (size_t h = 0; h < layer.heads.size(); ++h) {
      if (!layer.sink[h])
        undefined.where.push_back(place_of(layer, h));
      else if (*layer.sink[h])
        sinks.where.push_back(place_of(layer, h));
    }
  if (!undefined.where.empty()) return undefined;
  sinks.value = static_cast<double>(sinks.where.size()) / head_count(vitals);
  return sinks;
}

// Heads that could go if one of each group stayed: all but the first of a group.
Finding redundant(const Vitals& vitals) {
  Finding twins, undefined;
  double count = 0;
  for (const Vitals::Layer& layer : vitals.layers) {
    if (!layer.alike) {
      undefined.where.push_back(place_of(layer));
      continue;
    }
    for (const std::vector<int64_t>& group : *layer.alike) {
      count += static_cast<double>(group.size() - 1);
      Place& place = twins.where.emplace_back(place_of(layer));
      for (const int64_t h : group) place.heads.push_back(layer.heads.at(size_t(h)));
    }
  }
  if (!undefined.where.empty()) return undefined;
  twins.value = count;
  return twins;
}

Finding role_count(const Vitals& vitals, const std::string& role) {
  Finding found;
  for (const Vitals::Layer& layer : vitals.layers)
    for (size_t h = 0; h < layer.heads.size(); ++h)
      if (has_role(layer.role[h], role)) found.where.push_back(place_of(layer, h));
  found.value = static_cast<double>(found.where.size());
  return found;
}

// The layer with the fewest.
Finding effective_heads(const Vitals& vitals) {
  Finding least;
  for (const Vitals::Layer& layer : vitals.layers) {
    if (!layer.effective_heads) return {std::nullopt, {place_of(layer)}};
    if (!least.value || *layer.effective_heads < *least.value)
      least = {layer.effective_heads, {place_of(layer)}};
  }
  return least;
}

Ruling at_least(std::string rule, Finding found, double limit, double slack) {
  Ruling ruling{.rule = std::move(rule), .value = found.value, .limit = limit, .at_least = true};
  ruling.holds = found.value && *found.value >= limit - slack * std::max(1.0, limit);
  ruling.where = std::move(found.where);
  return ruling;
}

Ruling at_most(std::string rule, Finding found, double limit, double slack) {
  Ruling ruling{.rule = std::move(rule), .value = found.value, .limit = limit, .at_least = false};
  ruling.holds = found.value && *found.value <= limit + slack * std::max(1.0, limit);
  ruling.where = std::move(found.where);
  return ruling;
}

// The layer that lost the largest share of its effective heads.
Ruling against(const Vitals& vitals, const Vitals& baseline, double tolerance) {
  Ruling worst;
  double smallest = INFINITY;
  for (size_t l = 0; l < vitals.layers.size(); ++l) {
    const auto before = baseline.layers[l].effective_heads;
    const Vitals::Layer& layer = vitals.layers[l];
    if (!before) continue;  // nothing to hold it against
    const double ratio = layer.effective_heads ? *layer.effective_heads / *before : -1;
    if (ratio >= smallest) continue;
    smallest = ratio;
    worst = at_least("baseline.effective_heads", {layer.effective_heads, {place_of(layer)}},
                     *before * (1 - tolerance), kWritten);
    worst.baseline = before;
  }
  return worst;
}

void require_same_layers(const Vitals& vitals, const Vitals& baseline, const std::string& file) {
  const auto names = [](const Vitals& of) {
    std::vector<std::string> all;
    for (const Vitals::Layer& layer : of.layers) all.push_back(name_of(place_of(layer)));
    return all;
  };
  const auto now = names(vitals), before = names(baseline);
  for (size_t l = 0; l < std::max(now.size(), before.size()); ++l)
    if (l >= now.size() || l >= before.size() || now[l] != before[l])
      throw Error(ErrorKind::bad_input,
                  fmt::format("{}: is of a model with other layers: {} where this one has {}; make "
                              "a baseline of this model with headlight check --save",
                              file, l < before.size() ? before[l] : "nothing",
                              l < now.size() ? now[l] : "nothing"));
}

void judge_against(const Vitals& vitals, const Limits& limits, const Vitals& baseline,
                   std::vector<Ruling>& rulings) {
  const std::string file = limits.baseline.string();
  require_same_layers(vitals, baseline, file);
  if (limits.tolerance) {
    const double tolerance = *limits.tolerance;
    if (const Ruling effective = against(vitals, baseline, tolerance); !effective.rule.empty())
      rulings.push_back(effective);
    if (const auto before = sink_rate(baseline).value) {
      rulings.push_back(
          at_most("baseline.sink_rate", sink_rate(vitals), *before + tolerance, kWritten));
      rulings.back().baseline = before;
    }
    if (const auto before = redundant(baseline).value) {
      rulings.push_back(at_most("baseline.redundant", redundant(vitals),
                                *before + tolerance * head_count(baseline), kWritten));
      rulings.back().baseline = before;
    }
    if (baseline.loss && vitals.loss) {
      rulings.push_back(
          at_most("baseline.loss", {vitals.loss, {}}, *baseline.loss * (1 + tolerance), kWritten));
      rulings.back().baseline = baseline.loss;
    }
  }
  if (!limits.max_loss_increase) return;
  if (!baseline.loss)
    throw Error(ErrorKind::bad_input,
                file +
                    ": has no loss; make the baseline with headlight check --save on data that "
                    "has one");
  rulings.push_back(at_most("max_loss_increase", {*vitals.loss - *baseline.loss, {}},
                            *limits.max_loss_increase, kEqual));
  rulings.back().baseline = baseline.loss;
}

}  // namespace

std::string name_of(const Place& place) {
  std::string name = fmt::format("{}.{}", place.stack, place.layer);
  for (size_t i = 0; i < place.heads.size(); ++i)
    name += fmt::format("{}{}", i == 0 ? "." : "+", place.heads[i]);
  return name;
}

const std::vector<std::string>& roles() {
  static const std::vector<std::string> all = {
      "induction", "duplicate", "previous", "next",  "self",      "positional",  "sink",
      "separator", "broad",     "local",    "mixed", "alignment", "undetermined"};
  return all;
}

bool is_role(const std::string& name) {
  if (std::find(roles().begin(), roles().end(), name) != roles().end()) return true;
  if (!name.starts_with("positional(") || !name.ends_with(')')) return false;
  const std::string offset = name.substr(11, name.size() - 12);
  return offset.size() > 1 && (offset[0] == '-' || offset[0] == '+') &&
         offset.find_first_not_of("0123456789", 1) == std::string::npos;
}

bool any(const Limits& limits) {
  return limits.min_effective_heads || limits.max_sink_rate || limits.max_redundant ||
         !limits.min_role.empty() || limits.max_loss || limits.tolerance ||
         limits.max_loss_increase;
}

std::vector<Ruling> judge(const Vitals& vitals, const Limits& limits, const Vitals* baseline) {
  if ((limits.tolerance || limits.max_loss_increase) && !baseline)
    throw Error(ErrorKind::usage,
                "a tolerance and a loss increase are against an earlier report: give --baseline");
  if ((limits.max_loss || limits.max_loss_increase) && !vitals.loss)
    throw Error(ErrorKind::usage, "a limit of the loss needs data with labels");
  std::vector<Ruling> rulings;
  if (limits.min_effective_heads)
    rulings.push_back(at_least("min_effective_heads", effective_heads(vitals),
                               *limits.min_effective_heads, kEqual));
  if (limits.max_sink_rate)
    rulings.push_back(at_most("max_sink_rate", sink_rate(vitals), *limits.max_sink_rate, kEqual));
  if (limits.max_redundant)
    rulings.push_back(at_most("max_redundant", redundant(vitals),
                              static_cast<double>(*limits.max_redundant), kEqual));
  for (const auto& [role, heads] : limits.min_role)
    rulings.push_back(
        at_least("min_role." + role, role_count(vitals, role), static_cast<double>(heads), kEqual));
  if (limits.max_loss)
    rulings.push_back(at_most("max_loss", {vitals.loss, {}}, *limits.max_loss, kEqual));
  if (baseline) judge_against(vitals, limits, *baseline, rulings);
  return rulings;
}

}  // namespace headlight::lab
