// What pruning did to a model: that it computes the same, and what it costs now.
#pragma once

#include <cstdint>
#include <vector>

#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

// Random tokens or pixels where there is no data: a few rows that the model can read.
std::vector<Example> random_examples(const model::Config& config, uint64_t seed);

struct Difference {
  double largest = 0;  // absolute, over all logits (hidden states of a model without an output)
  double scale = 0;    // the largest absolute value among them
};
// Between a model whose gates are closed and another one without them.
Difference logit_difference(const model::Transformer& model, const model::Gates& gates,
                            const model::Transformer& other, const std::vector<Batch>& batches);

// The median time of reading all batches, measured in turns so that neither model has the quieter
// moment; about half a second.
struct ForwardSeconds {
  double first = 0, second = 0;
};
ForwardSeconds forward_seconds(const model::Transformer& first, const model::Transformer& second,
                               const std::vector<Batch>& batches);

}  // namespace headlight::lab
