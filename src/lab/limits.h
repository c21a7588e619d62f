// Limits that a model must keep, as a gate in continuous integration (docs/check.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/vitals.h"

namespace headlight::lab {

struct Limits {
  std::optional<double> min_effective_heads;  // of every layer
  std::optional<double> max_sink_rate;        // share of all heads
  std::optional<int64_t> max_redundant;       // heads beyond one of each group that is alike
  std::map<std::string, int64_t> min_role;    // how many heads at least, by role
  std::optional<double> max_loss;             // nats
  // Against a baseline.
  std::filesystem::path baseline;           // empty: none
  std::optional<double> tolerance;          // of everything that it tells
  std::optional<double> max_loss_increase;  // nats
};

// Rules that must hold at all: false where there is nothing to check.
bool any(const Limits& limits);

// From a .toml or .json file whose keys are the names above; min_role is a table, and a relative
// baseline stands beside the file. Throws Error (bad_input) naming the file, the key, and what
// belongs there.
Limits read_limits(const std::filesystem::path& file);

// "induction" or "positional(-3)"; "positional" stands for any offset.
bool is_role(const std::string& name);
const std::vector<std::string>& roles();

// A layer, or heads of it that are alike: what decides a rule.
struct Place {
  std::string stack;
  int64_t layer = 0;
  std::vector<int64_t> heads;  // their numbers; empty: the layer as a whole
};
std::string name_of(const Place& place);  // "self.3", "self.3.1" or "self.3.1+4"

// The result of one rule.
struct Ruling {
  std::string rule;  // "min_effective_heads", "min_role.induction", "baseline.sink_rate", ...
  bool holds = false;
  std::optional<double> value;  // undefined: the rule does not hold
  double limit = 0;
  bool at_least = false;           // value >= limit; else value <= limit
  std::optional<double> baseline;  // what the earlier report had
  std::vector<Place> where;        // the layer or the heads that decide
};

// In the order of the fields of Limits. `baseline` is what limits.baseline holds, read. Throws
// Error: usage for limits that need a baseline or a loss which is not there, bad_input for a
// baseline of other layers.
std::vector<Ruling> judge(const Vitals& vitals, const Limits& limits, const Vitals* baseline);

}  // namespace headlight::lab
