#include "task/sequences_task.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "headlight/error.h"
#include "task/parallel_text.h"
#include "task/random.h"

namespace headlight::task {
namespace {

// Targets of 2 to 20 symbols, each with a number of its own in front; sources about as long.
Sequences sequences(int count, bool pairs) {
  Sequences all;
  for (int i = 0; i < count; ++i) {
    const auto length = 2 + mix(1, static_cast<uint64_t>(i)) % 19;
    Sequence target(length, 5);
    target[0] = 1000 + i;
    target.back() = 1;
    all.targets.push_back(target);
    if (!pairs) continue;
    target.resize(length + 2, 6);
    all.sources.push_back(target);
  }
  return all;
}

TEST(SequencesTask, EveryPairComesOnceAnEpochInBatchesOfSoManyTokens) {
  const auto task = make_sequences_task("t", sequences(300, true), sequences(5, true), 3, 0);
  std::set<std::vector<int64_t>> orders;
  int64_t step = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::map<int64_t, int> seen;
    std::vector<int64_t> order;
    while (order.size() < 300) {
      const Batch batch = task->train_batch(7, step++, 120);
      EXPECT_LE(batch.size * std::max(batch.length, batch.source_length), 120);
      for (int64_t row = 0; row < batch.size; ++row) {
        const int64_t number = batch.labels[static_cast<size_t>(row * batch.length)];
        ++seen[number];
        order.push_back(number);
      }
    }
    EXPECT_EQ(order.size(), 300u);
    EXPECT_EQ(seen.size(), 300u);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 3u);
}

TEST(SequencesTask, ABatchIsThatOfItsSeedAndStepAlone) {
  const auto one = make_sequences_task("t", sequences(90, true), sequences(5, true), 3, 0);
  const auto other = make_sequences_task("t", sequences(90, true), sequences(5, true), 3, 0);
  for (int64_t step = 0; step < 40; ++step) one->train_batch(7, step, 100);
  EXPECT_EQ(one->train_batch(7, 23, 100).labels, other->train_batch(7, 23, 100).labels);
  EXPECT_NE(one->train_batch(8, 23, 100).labels, other->train_batch(7, 23, 100).labels);
}

TEST(SequencesTask, TheDecoderReadsTheTargetOnePlaceLater) {
  const Sequences held_out = {{{9, 8, 1}, {7, 1}}, {{4, 5, 1}, {6, 1}}};
  const Batch batch = make_sequences_task("t", sequences(5, true), held_out, 3, 0)->test_set(10);
  EXPECT_THAT(batch.source, ::testing::ElementsAre(9, 8, 1, 7, 1, 0));
  EXPECT_THAT(batch.source_lengths, ::testing::ElementsAre(3, 2));
  EXPECT_THAT(batch.inputs, ::testing::ElementsAre(3, 4, 5, 3, 6, 0));
  EXPECT_THAT(batch.labels, ::testing::ElementsAre(4, 5, 1, 6, 1, kNotScored));
  EXPECT_THAT(batch.lengths, ::testing::ElementsAre(3, 2));
}

TEST(SequencesTask, LinesAloneAreALanguageModel) {
  const auto task = make_sequences_task("t", sequences(30, false), sequences(5, false), 3, 0);
  EXPECT_FALSE(task->info().encoder_decoder);
  const Batch batch = task->train_batch(1, 0, 1);  // too few tokens for any: one row each
  EXPECT_EQ(batch.size, 1);
  EXPECT_TRUE(batch.source.empty());
}

TEST(SequencesTask, PicturesStayWithTheirTargetsAndCountAsTokens) {
  Sequences all = sequences(60, false);
  for (const Sequence& target : all.targets)
    all.pictures.push_back(at::full({3, 2, 2}, static_cast<double>(target[0])));
  all.picture_places = 30;
  const auto task = make_sequences_task("t", all, all, 3, 0);
  EXPECT_TRUE(task->info().encoder_decoder);
  std::set<int64_t> seen;
  for (int64_t step = 0; seen.size() < 60; ++step) {
    const Batch batch = task->train_batch(7, step, 120);
    EXPECT_LE(batch.size, 4);
    EXPECT_TRUE(batch.source.empty());
    ASSERT_EQ(batch.pixels.sizes(), at::IntArrayRef({batch.size, 3, 2, 2}));
    for (int64_t row = 0; row < batch.size; ++row) {
      const int64_t number = batch.labels[static_cast<size_t>(row * batch.length)];
      EXPECT_EQ(batch.pixels[row][1][0][1].item<float>(), static_cast<float>(number));
      EXPECT_TRUE(seen.insert(number).second);
    }
  }
}

TEST(ParallelText, HeldOutPairsAreChosenByTheirSource) {
  ParallelText text;
  for (int i = 0; i < 2000; ++i) {
    text.sources.push_back("source " + std::to_string(i % 1000));
    text.targets.push_back("target " + std::to_string(i));
  }
  const ParallelText held = hold_out(text, 0.1, 1000);
  EXPECT_NEAR(static_cast<double>(held.targets.size()), 200, 60);
  EXPECT_EQ(held.targets.size() + text.targets.size(), 2000u);
  const std::set<std::string> kept(text.sources.begin(), text.sources.end());
  for (const std::string& source : held.sources) EXPECT_FALSE(kept.contains(source));
}

TEST(ParallelText, SomethingIsHeldOutOfAnyTwoLines) {
  ParallelText text{{}, {"one", "two"}};
  EXPECT_EQ(hold_out(text, 0.01, 1000).targets.size(), 1u);
  EXPECT_EQ(text.targets.size(), 1u);
}

TEST(ParallelText, EmptySidesGoTogether) {
  ParallelText text{{"a", " ", "c", "d"}, {"A", "B", "\t", "D"}};
  EXPECT_EQ(remove_empty(text), 2);
  EXPECT_THAT(text.sources, ::testing::ElementsAre("a", "d"));
  EXPECT_THAT(text.targets, ::testing::ElementsAre("A", "D"));
}

}  // namespace
}  // namespace headlight::task
