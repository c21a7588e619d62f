#include "lab/before_and_after.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>

#include "headlight/splitmix64.h"
#include "model/sentence_pairs.h"

namespace headlight::lab {
namespace {

constexpr int64_t kSampleRows = 4, kSampleTokens = 16;
constexpr double kSeconds = 0.5;
constexpr size_t kFewest = 3, kMost = 51;  // measurements

at::Tensor read(const model::Transformer& model, const model::Inputs& in, const model::Pass& pass) {
  return model.config.output || model::tells_partners(model.config, in)
             ? model::logits(model, in, pass)
             : model::hidden(model, in, pass);
}

double seconds_of(const model::Transformer& model, const std::vector<Batch>& batches) {
  const auto start = std::chrono::steady_clock::now();
  for (const Batch& batch : batches) read(model, batch.inputs, {});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

std::vector<Example> random_examples(const model::Config& c, uint64_t seed) {
  SplitMix64 random(seed);
  const auto tokens = [&](int64_t vocabulary) {
    const int64_t count = c.positions > 0 ? std::min(kSampleTokens, c.positions) : kSampleTokens;
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < count; ++i) ids.push_back(random.index(vocabulary));
    return at::tensor(ids).unsqueeze(0);
  };
  std::vector<Example> examples(static_cast<size_t>(kSampleRows));
  for (Example& example : examples) {
    model::Inputs& in = example.inputs;
    if (c.patch > 0) {
      std::vector<float> pixels;
      for (int64_t i = 0; i < c.channels * c.image_height * c.image_width; ++i)
        pixels.push_back(2 * static_cast<float>(random.index(1 << 20)) / (1 << 20) - 1);
      in.pixels = at::tensor(pixels).view({1, c.channels, c.image_height, c.image_width});
      if (c.kind == model::Kind::encoder_only) continue;
    }
    in.tokens = tokens(c.vocabulary);
    if (c.sentence_tokens > 0)
      in.tokens = in.tokens.unsqueeze(2).expand({-1, -1, c.sentence_tokens}).contiguous();
    if (c.token_types > 0) in.token_types = at::zeros_like(in.tokens);
    if (c.kind == model::Kind::encoder_decoder && c.patch == 0)
      in.source = tokens(c.source_vocabulary);
  }
  return examples;
}

Difference logit_difference(const model::Transformer& model, const model::Gates& gates,
                            const model::Transformer& other, const std::vector<Batch>& batches) {
  const at::NoGradGuard no_gradients;
  Difference found;
  model::Pass gated;
  gated.gates = &gates;
  for (const Batch& batch : batches) {
    const at::Tensor expected = read(model, batch.inputs, gated);
    const at::Tensor ours = read(other, batch.inputs, {});
    const double difference = (expected - ours).abs().max().item<double>();
    // Not std::max: NaN must not pass.
    if (!(difference <= found.largest)) found.largest = difference;
    found.scale = std::max(found.scale, expected.abs().max().item<double>());
  }
  return found;
}

ForwardSeconds forward_seconds(const model::Transformer& first, const model::Transformer& second,
                               const std::vector<Batch>& batches) {
  const at::NoGradGuard no_gradients;
  seconds_of(first, batches);  // so that memory and caches are warm
  seconds_of(second, batches);
  std::vector<double> a, b;
  double spent = 0;
  while (a.size() < kFewest || (spent < kSeconds && a.size() < kMost)) {
    a.push_back(seconds_of(first, batches));
    b.push_back(seconds_of(second, batches));
    spent += a.back() + b.back();
  }
  return {median(std::move(a)), median(std::move(b))};
}

}  // namespace headlight::lab
