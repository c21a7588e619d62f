// The few numbers of an inspection by which one sees that heads have collapsed, and the loss: what
// `headlight check` holds against limits and against an earlier report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lab/inspection.h"

namespace headlight::lab {

struct Vitals {
  struct Layer {
    std::string stack;  // "self", "encoder", "decoder" or "cross"
    int64_t layer = 0;
    std::vector<int64_t> heads;             // their numbers in the model that they come from
    std::optional<double> effective_heads;  // undefined where a head's scores are no numbers
    std::vector<std::optional<bool>> sink;  // by head: more than 0.3 on the first token
    std::optional<std::vector<std::vector<int64_t>>> alike;  // places of heads, groups of two up
    std::vector<std::string> role;                           // by head; "": undefined
  };
  std::vector<Layer> layers;
  int64_t examples = 0;
  std::optional<double> loss;  // nats per scored label, over all examples together
};

Vitals vitals_of(const Inspection& inspection);

// {"stack": ..., "layer": ..., "heads": [...], ...}: an entry of "layers" in check.schema.json.
nlohmann::ordered_json to_json(const Vitals::Layer& layer);

// From what `headlight check` or `headlight inspect` wrote. Throws Error (bad_input) naming the
// file and the place for anything else.
Vitals read_vitals(const std::filesystem::path& report);

}  // namespace headlight::lab
