// From sums over examples to who became whom in one layer.
#pragma once

#include <string>
#include <vector>

#include "heads/two_models.h"
#include "lab/comparison.h"

namespace headlight::lab {

inline constexpr int64_t kRowsForOutputs = 4;  // fewer say nothing about how outputs relate

struct LayerSums {
  std::string stack;
  int64_t layer = 0;
  std::vector<int64_t> heads_a, heads_b;  // one of them is empty where a layer lost all heads
  std::vector<heads::TwoModels> examples;
};

ComparedLayer matched(const LayerSums& sums, const ComparisonSettings& settings);

}  // namespace headlight::lab
