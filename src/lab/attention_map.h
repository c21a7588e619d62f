// Attention as small pictures for a report's page.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace headlight::lab {

// One row of a captured layer, at most `largest` x `largest` cells a head: {"stack", "layer",
// "rows", "columns", "queries", "keys", "tokens", "key_tokens" (of cross-attention alone), "heads":
// [base64 of bytes, 255 sqrt(weight), row = query]}. Where there are more queries or keys than
// cells, each cell is the largest weight of its block; beyond 1,024 x 1,024 weights each row is one
// query of its block instead, and "sampled" is true. Never holds more than a band of weights.
// Where there are `value_norms` [heads][keys], weights are multiplied by them and rows sum to 1
// again.
nlohmann::ordered_json attention_map(const model::Capture::Layer& layer, int64_t row,
                                     int64_t largest, const std::vector<std::string>& query_tokens,
                                     const std::vector<std::string>& key_tokens,
                                     const std::vector<std::vector<double>>& value_norms = {});

}  // namespace headlight::lab
