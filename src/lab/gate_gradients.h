// What every example's loss says about every head's gate (Michel et al. 2019).
#pragma once

#include <functional>
#include <vector>

#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

// [example][head]: the derivative of an example's nats, summed over its scored labels, by the gate
// of each head of model::all_heads(). One backward pass for a batch: every row has gates of its
// own; of pairs that are told apart, those of the batch's sum of nats by the row's gates. `before`
// is called ahead of each batch with the share that is done.
std::vector<std::vector<double>> gate_gradients(const model::Transformer& model,
                                                const std::vector<Batch>& batches,
                                                const std::function<void(double)>& before = {});

}  // namespace headlight::lab
