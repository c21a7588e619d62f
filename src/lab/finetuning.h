// A pruned model trained on, so that the heads that stay make up for those that went.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

struct FinetuneSettings {
  int64_t steps = 0;
  double learning_rate = 1e-4;  // falls to 0 in a cosine
  int64_t tokens = 2048;        // of a batch, at most
  uint64_t seed = 0;            // of the order of batches and of dropout
};

// A copy of its own, trained with Adam on batches of the examples, each once in a round. Throws
// Error (bad_input) if the loss stops being a number. `advanced` may throw to stop.
model::Transformer finetuned(const model::Transformer& model, const std::vector<Example>& examples,
                             const FinetuneSettings& settings,
                             const std::function<void(int64_t step, double loss)>& advanced);

}  // namespace headlight::lab
