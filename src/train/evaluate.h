// Batches as tensors, and the loss and accuracy of a model on held-out data.
#pragma once

#include <vector>

#include "model/transformer.h"
#include "task/task.h"

namespace headlight::train {

// The tensors of a batch. They read the batch in place: it must outlive them.
model::Inputs inputs_of(const task::Batch& batch);
at::Tensor labels_of(const task::Batch& batch);

// Sequences `first` to `last` of them, every `step`-th.
model::Inputs rows(const model::Inputs& inputs, int64_t first, int64_t last, int64_t step = 1);

struct Evaluation {
  double loss = 0;      // nats, mean over scored positions
  double accuracy = 0;  // share of scored positions whose best class is the label
  // Of each sequence that has a scored position:
  std::vector<double> items;  // accuracy
  // Nats, so that their mean is the loss: one with more scored positions weighs more.
  std::vector<double> item_losses;
};

Evaluation evaluate(const model::Transformer& transformer, const task::Batch& held_out);

}  // namespace headlight::train
