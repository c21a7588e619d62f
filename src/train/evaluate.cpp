#include "train/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace headlight::train {
namespace {

// Tensors are only read, but from_blob has no const form.
at::Tensor view(const std::vector<int64_t>& numbers, at::IntArrayRef shape) {
  return at::from_blob(const_cast<int64_t*>(numbers.data()), shape, at::kLong);
}

}  // namespace

model::Inputs inputs_of(const task::Batch& batch) {
  model::Inputs inputs;
  inputs.tokens = batch.sentence_tokens > 0
                      ? view(batch.inputs, {batch.size, batch.length, batch.sentence_tokens})
                      : view(batch.inputs, {batch.size, batch.length});
  if (!batch.lengths.empty()) inputs.lengths = view(batch.lengths, {batch.size});
  if (!batch.source.empty()) inputs.source = view(batch.source, {batch.size, batch.source_length});
  if (!batch.source_lengths.empty())
    inputs.source_lengths = view(batch.source_lengths, {batch.size});
  if (!batch.token_types.empty())
    inputs.token_types = view(batch.token_types, {batch.size, batch.length});
  inputs.pixels = batch.pixels;
  return inputs;
}

at::Tensor labels_of(const task::Batch& batch) {
  if (batch.labels_a_row == 1) return view(batch.labels, {batch.size});
  return view(batch.labels,
              {batch.size, batch.labels_a_row > 0 ? batch.labels_a_row : batch.length});
}

model::Inputs rows(const model::Inputs& inputs, int64_t first, int64_t last, int64_t step) {
  const auto part = [&](const at::Tensor& t) {
    return t.defined() ? t.slice(0, first, last, step).contiguous() : t;
  };
  model::Inputs some;
  some.tokens = part(inputs.tokens);
  some.lengths = part(inputs.lengths);
  some.source = part(inputs.source);
  some.source_lengths = part(inputs.source_lengths);
  some.token_types = part(inputs.token_types);
  some.pixels = part(inputs.pixels);
  return some;
}

Evaluation evaluate(const model::Transformer& transformer, const task::Batch& held_out) {
  const model::Inputs inputs = inputs_of(held_out);
  const at::Tensor labels = labels_of(held_out);
  // A few thousand tokens at a time: the activations then stay in the cache.
  const int64_t longest =
      std::max({int64_t{1}, held_out.length, model::image_places(transformer.config)});
  const int64_t chunk = std::max<int64_t>(1, 4096 / longest);

  Evaluation result;
  double nats = 0, right = 0, scored = 0;
  for (int64_t first = 0; first < held_out.size; first += chunk) {
    const int64_t last = std::min(held_out.size, first + chunk);
    const model::Evaluation part =
        model::evaluate(transformer, rows(inputs, first, last), labels.slice(0, first, last));
    const double* part_nats = part.nats.const_data_ptr<double>();
    const int64_t* part_right = part.correct.const_data_ptr<int64_t>();
    const int64_t* part_scored = part.scored.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < last - first; ++i) {
      nats += part_nats[i];
      right += double(part_right[i]);
      scored += double(part_scored[i]);
      if (part_scored[i] == 0) continue;
      result.items.push_back(double(part_right[i]) / double(part_scored[i]));
      result.item_losses.push_back(part_nats[i]);
    }
  }
  if (scored == 0) return result;
  result.loss = nats / scored;
  result.accuracy = right / scored;
  for (double& loss : result.item_losses) loss *= double(result.items.size()) / scored;
  return result;
}

}  // namespace headlight::train
