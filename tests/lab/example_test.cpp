#include "lab/example.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

namespace headlight::lab {
namespace {

model::Transformer tiny_model() {
  model::Config c;
  c.vocabulary = 11;
  c.dim = 8;
  c.heads = 2;
  c.layers = 2;
  c.positions = 9;
  return model::initialised(c, 3);
}

// A text of so many tokens whose last label is left out.
Example text_of(int64_t length) {
  Example example;
  example.inputs.tokens = (at::arange(length, at::kLong) * 5 + length).remainder(11).unsqueeze(0);
  example.labels = (example.inputs.tokens + 1).remainder(11);
  example.labels[0][length - 1] = model::kUnscored;
  return example;
}

std::vector<Example> texts_of_many_lengths() {
  return {text_of(3), text_of(9), text_of(5), text_of(9), text_of(2)};
}

TEST(Examples, EveryOneStandsInOneBatchAndABatchKeepsToItsTokens) {
  const model::Transformer model = tiny_model();
  const std::vector<Batch> batches = batches_of(model.config, texts_of_many_lengths(), 18);
  std::multiset<int64_t> seen;
  for (const Batch& batch : batches) {
    EXPECT_LE(batch.inputs.tokens.numel(), 18);
    EXPECT_EQ(batch.inputs.tokens.size(0), static_cast<int64_t>(batch.examples.size()));
    seen.insert(batch.examples.begin(), batch.examples.end());
  }
  EXPECT_EQ(seen, (std::multiset<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batches.front().inputs.tokens.size(1), 9) << "the longest come first";
  EXPECT_FALSE(batches.front().inputs.mask.defined()) << "rows of one length need no mask";
}

TEST(Examples, LossesDoNotDependOnWhatSharesABatch) {
  const model::Transformer model = tiny_model();
  const Losses together = losses_of(model, batches_of(model.config, texts_of_many_lengths(), 1000));
  const std::vector<Example> each = texts_of_many_lengths();
  double nats = 0;
  int64_t scored = 0;
  for (size_t i = 0; i < each.size(); ++i) {
    const at::Tensor alone = model::loss(model, each[i].inputs, each[i].labels);
    EXPECT_EQ(together.scored[i], each[i].labels.size(1) - 1);
    EXPECT_NEAR(together.nats[i], alone.item<double>() * double(together.scored[i]), 1e-5);
    nats += together.nats[i];
    scored += together.scored[i];
  }
  EXPECT_DOUBLE_EQ(mean_loss(together), nats / double(scored));
}

TEST(Examples, GatesChangeTheLoss) {
  const model::Transformer model = tiny_model();
  const std::vector<Batch> batches = batches_of(model.config, texts_of_many_lengths(), 1000);
  model::Gates closed;
  closed.factors["self"] = {at::tensor({0.0F, 1.0F}), at::Tensor()};
  EXPECT_NE(mean_loss(losses_of(model, batches, &closed)), mean_loss(losses_of(model, batches)));
  model::Gates open;
  open.factors["self"] = {at::ones({2}), at::ones({2})};
  EXPECT_NEAR(mean_loss(losses_of(model, batches, &open)), mean_loss(losses_of(model, batches)),
              1e-6);
}

}  // namespace
}  // namespace headlight::lab
