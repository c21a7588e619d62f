#include "lab/removal_losses.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headlight/error.h"
#include "lab/head_means.h"
#include "model/head_name.h"
#include "model/sentence_pairs.h"

namespace headlight::lab {
namespace {

// The same rows again and again.
model::Inputs repeated(const model::Inputs& in, int64_t times) {
  model::Inputs out;
  using Field = at::Tensor model::Inputs::*;
  for (const Field field :
       {&model::Inputs::tokens, &model::Inputs::lengths, &model::Inputs::source,
        &model::Inputs::source_lengths, &model::Inputs::mask, &model::Inputs::source_mask,
        &model::Inputs::token_types, &model::Inputs::pixels})
    if ((in.*field).defined()) {
      std::vector<int64_t> each((in.*field).sizes().size(), 1);
      each[0] = times;
      out.*field = (in.*field).repeat(each);
    }
  return out;
}

Batch repeated(const Batch& batch, int64_t times, int64_t examples) {
  Batch all;
  all.inputs = repeated(batch.inputs, times);
  all.labels = batch.labels.repeat(batch.labels.dim() == 1 ? std::vector<int64_t>{times}
                                                           : std::vector<int64_t>{times, 1});
  for (int64_t copy = 0; copy < times; ++copy)
    for (const int64_t example : batch.examples) all.examples.push_back(copy * examples + example);
  return all;
}

// "zero 3 17", "mean 4".
std::string key(const HeadSet& set, Instead instead) {
  std::string text = instead == Instead::mean ? "mean" : "zero";
  for (size_t h = 0; h < set.size(); ++h)
    if (set[h]) text += fmt::format(" {}", h);
  return text;
}

int64_t tokens_of(const Batch& batch) {
  const model::Inputs& in = batch.inputs;
  if (in.pixels.defined()) return in.pixels.size(0);
  return in.tokens.numel() + (in.source.defined() ? in.source.numel() : 0);
}

}  // namespace

int64_t tokens_at_once(const model::Config& config) {
  constexpr int64_t kMost = 4096, kFewest = 256, kLogits = int64_t{1} << 25;
  if (config.patch > 0) return 32;  // images
  return std::clamp(kLogits / std::max<int64_t>(config.classes, 1), kFewest, kMost);
}

RemovalLosses::RemovalLosses(const model::Transformer& model, const std::vector<Example>& examples,
                             RankingState& state, std::function<void(double)> before)
    : model_(model),
      examples_(static_cast<int64_t>(examples.size())),
      state_(state),
      before_(std::move(before)),
      layers_(head_layers(model.config)),
      batches_(batches_of(model.config, examples, tokens_at_once(model.config))) {
  int64_t largest = 1;
  for (const Batch& batch : batches_) largest = std::max(largest, tokens_of(batch));
  // Pairs that are told apart from the others of their batch must stay among themselves.
  if (!batches_.empty() && model::tells_partners(model.config, batches_[0].inputs)) return;
  together_ = static_cast<size_t>(std::max<int64_t>(1, tokens_at_once(model.config) / largest));
}

std::vector<RankingState::Loss> RemovalLosses::without(const std::vector<HeadSet>& sets,
                                                       Instead instead, bool nats) {
  std::vector<std::string> unknown;
  std::vector<HeadSet> missing;
  for (const HeadSet& set : sets) {
    const std::string name = key(set, instead);
    const auto known = state_.losses.find(name);
    if (known != state_.losses.end() && (!nats || !known->second.nats.empty())) continue;
    if (std::ranges::find(unknown, name) != unknown.end()) continue;
    unknown.push_back(name);
    missing.push_back(set);
  }
  const size_t known = sets.size() - missing.size();
  for (size_t first = 0; first < missing.size(); first += together_) {
    const size_t last = std::min(missing.size(), first + together_);
    const std::vector<Losses> found = compute({missing.begin() + static_cast<std::ptrdiff_t>(first),
                                               missing.begin() + static_cast<std::ptrdiff_t>(last)},
                                              instead, static_cast<double>(known + first));
    for (size_t i = 0; i < found.size(); ++i) {
      const double loss = mean_loss(found[i]);
      if (!std::isfinite(loss))
        throw Error(ErrorKind::bad_input,
                    fmt::format("the loss of this model on this data is not finite{}",
                                std::ranges::count(missing[first + i], true) > 0
                                    ? " where heads are taken away"
                                    : ""));
      state_.losses[unknown[first + i]] = {loss, nats ? found[i].nats : std::vector<double>()};
    }
  }
  std::vector<RankingState::Loss> losses;
  for (const HeadSet& set : sets) losses.push_back(state_.losses.at(key(set, instead)));
  return losses;
}

std::vector<Losses> RemovalLosses::compute(const std::vector<HeadSet>& sets, Instead instead,
                                           double done) {
  const auto times = static_cast<int64_t>(sets.size());
  if (instead == Instead::mean && means_.empty()) means_ = head_means(model_, batches_);
  const auto examples = static_cast<size_t>(examples_);
  std::vector<Losses> losses(sets.size(),
                             {std::vector<double>(examples), std::vector<int64_t>(examples)});
  for (size_t b = 0; b < batches_.size(); ++b) {
    if (before_)
      before_(done + static_cast<double>(times) * static_cast<double>(b) /
                         static_cast<double>(batches_.size()));
    const Batch& batch = batches_[b];
    model::Gates gates = gates_without(layers_, sets, static_cast<int64_t>(batch.examples.size()));
    if (instead == Instead::mean) gates.means = means_;
    const Losses found =
        losses_of(model_, {times == 1 ? batch : repeated(batch, times, examples_)}, &gates);
    for (int64_t copy = 0; copy < times; ++copy)
      for (const int64_t example : batch.examples) {
        const auto from = static_cast<size_t>(copy * examples_ + example);
        Losses& own = losses[static_cast<size_t>(copy)];
        own.nats[static_cast<size_t>(example)] = found.nats[from];
        own.scored[static_cast<size_t>(example)] = found.scored[from];
      }
  }
  return losses;
}

}  // namespace headlight::lab
