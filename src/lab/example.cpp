#include "lab/example.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "model/sentence_pairs.h"

namespace headlight::lab {
namespace {

// How many tokens one row holds, the longer of its two sides.
int64_t length_of(const Example& example) {
  const model::Inputs& in = example.inputs;
  if (in.pixels.defined()) return 1;
  return std::max(in.tokens.size(1), in.source.defined() ? in.source.size(1) : 0);
}

using Field = at::Tensor model::Inputs::*;

// Rows [1, N_i] or [1, N_i, W] below each other, longer ones deciding the width.
at::Tensor stacked(const std::vector<at::Tensor>& rows, int64_t filling) {
  int64_t width = 0;
  for (const at::Tensor& row : rows) width = std::max(width, row.size(1));
  std::vector<at::Tensor> full;
  for (const at::Tensor& row : rows) {
    std::vector<int64_t> behind(
        static_cast<size_t>(2 * (row.dim() - 1)));  // the last dimension first
    behind.back() = width - row.size(1);
    full.push_back(at::constant_pad_nd(row, behind, filling));
  }
  return at::cat(full);
}

at::Tensor stacked(const std::vector<const Example*>& rows, Field field, int64_t filling) {
  if (!(rows[0]->inputs.*field).defined()) return {};
  std::vector<at::Tensor> all;
  for (const Example* row : rows) all.push_back(row->inputs.*field);
  return stacked(all, filling);
}

// 1 where a row has a token; undefined where every row is full.
at::Tensor mask(const std::vector<const Example*>& rows, Field tokens, Field mask) {
  if (!(rows[0]->inputs.*tokens).defined()) return {};
  std::vector<at::Tensor> all;
  for (const Example* row : rows) {
    const at::Tensor& own = row->inputs.*mask;
    all.push_back(own.defined() ? own.to(at::kLong)
                                : at::ones({1, (row->inputs.*tokens).size(1)}, at::kLong));
  }
  const at::Tensor joined = stacked(all, 0);
  return joined.all().item<bool>() ? at::Tensor() : joined;
}

Batch batch_of(const model::Config& config, const std::vector<Example>& examples,
               std::vector<int64_t> places) {
  const int64_t padding = std::max<int64_t>(config.padding_token, 0);
  std::vector<const Example*> rows;
  for (const int64_t place : places) rows.push_back(&examples[static_cast<size_t>(place)]);
  Batch batch;
  batch.examples = std::move(places);
  model::Inputs& in = batch.inputs;
  if (rows[0]->inputs.pixels.defined()) {
    std::vector<at::Tensor> images;
    for (const Example* row : rows) images.push_back(row->inputs.pixels);
    in.pixels = at::cat(images);
  }
  in.tokens = stacked(rows, &model::Inputs::tokens, padding);
  in.mask = mask(rows, &model::Inputs::tokens, &model::Inputs::mask);
  in.token_types = stacked(rows, &model::Inputs::token_types, 0);
  in.source = stacked(rows, &model::Inputs::source, 0);
  in.source_mask = mask(rows, &model::Inputs::source, &model::Inputs::source_mask);
  std::vector<at::Tensor> labels;
  for (const Example* row : rows)
    if (row->labels.defined()) labels.push_back(row->labels);
  if (labels.size() == rows.size())
    batch.labels = model::tells_partners(config, in) ? at::arange(std::ssize(rows))
                   : labels[0].dim() == 1            ? at::cat(labels)
                                                     : stacked(labels, model::kUnscored);
  return batch;
}

}  // namespace

std::vector<Batch> batches_of(const model::Config& config, const std::vector<Example>& examples,
                              int64_t tokens) {
  std::vector<int64_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](int64_t place) {
    return length_of(examples[static_cast<size_t>(place)]);
  };
  std::ranges::stable_sort(order, std::greater(), length);
  std::vector<Batch> batches;
  const bool pairs = !examples.empty() && model::tells_partners(config, examples[0].inputs);
  const size_t sets = std::max<size_t>(1, examples.size() / kPairsTogether);
  for (size_t first = 0; first < order.size();) {
    const auto rows = static_cast<size_t>(std::max<int64_t>(1, tokens / length(order[first])));
    const size_t last =
        pairs ? (batches.size() + 1) * order.size() / sets : std::min(order.size(), first + rows);
    batches.push_back(batch_of(config, examples,
                               {order.begin() + static_cast<std::ptrdiff_t>(first),
                                order.begin() + static_cast<std::ptrdiff_t>(last)}));
    first = last;
  }
  return batches;
}

Losses losses_of(const model::Transformer& model, const std::vector<Batch>& batches,
                 const model::Gates* gates) {
  Losses losses;
  model::Pass pass;
  pass.gates = gates;
  for (const Batch& batch : batches) {
    const model::Evaluation found = model::evaluate(model, batch.inputs, batch.labels, pass);
    for (size_t row = 0; row < batch.examples.size(); ++row) {
      const auto example = static_cast<size_t>(batch.examples[row]);
      if (losses.nats.size() <= example) {
        losses.nats.resize(example + 1);
        losses.scored.resize(example + 1);
        losses.correct.resize(example + 1);
      }
      losses.nats[example] = found.nats.const_data_ptr<double>()[row];
      losses.scored[example] = found.scored.const_data_ptr<int64_t>()[row];
      losses.correct[example] = found.correct.const_data_ptr<int64_t>()[row];
    }
  }
  return losses;
}

double mean_loss(const Losses& losses) {
  const double nats = std::accumulate(losses.nats.begin(), losses.nats.end(), 0.0);
  const auto scored = std::accumulate(losses.scored.begin(), losses.scored.end(), int64_t{0});
  return nats / static_cast<double>(scored);
}

}  // namespace headlight::lab
