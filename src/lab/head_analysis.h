// What the heads of a model do on held-out sequences.
#pragma once

#include <nlohmann/json.hpp>

#include "heads/analysis.h"
#include "model/transformer.h"
#include "task/task.h"

namespace headlight::lab {

// The analysis of every layer of every stack over the first `sequences` of the held-out set:
// [{"stack", "layer", "structure", "roles", "redundancy", "flow", …}], the shape of report.json.
nlohmann::ordered_json analyse_heads(const model::Transformer& transformer,
                                     const task::Batch& held_out, int64_t sequences);

// One layer in that shape.
nlohmann::ordered_json layer_json(const std::string& stack, int64_t layer,
                                  const heads::PooledAnalysis& analysis);

// Attention of the first held-out sequence, at most 64 x 64 cells a head: a list of
// attention_map().
nlohmann::ordered_json attention_maps(const model::Transformer& transformer, const task::Task& task,
                                      const task::Batch& held_out);

}  // namespace headlight::lab
