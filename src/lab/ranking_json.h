// A ranking as JSON: the form of schema/rank.schema.json.
#pragma once

#include <nlohmann/json.hpp>

#include "lab/ranking.h"

namespace headlight::lab {

// "loss", "gate_gradient": {"self": [layer][head]}, ..., "greedy_order", "greedy_curve"; null for
// what is undefined or was not asked for. `tolerance` in nats decides how many heads are free.
nlohmann::ordered_json to_json(const Ranking& ranking, double tolerance);

}  // namespace headlight::lab
