#include "task/encoder_task.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "task/random.h"

namespace headlight::task {
namespace {

constexpr Masking kMasking = {.mask = 1000, .first = 4, .last = 1000};

// Texts of 3 to 42 tokens between <s> (3) and </s> (1).
ReadTexts texts(int count, bool classes) {
  ReadTexts all;
  for (int i = 0; i < count; ++i) {
    const auto row = static_cast<uint64_t>(i);
    Sequence text(3 + mix(1, row) % 40);
    for (size_t j = 0; j < text.size(); ++j)
      text[j] = static_cast<int32_t>(4 + mix(mix(2, row), j) % 996);
    text.insert(text.begin(), 3);
    text.push_back(1);
    all.texts.push_back(text);
    if (classes) all.classes.push_back(i);
  }
  return all;
}

std::vector<int64_t> row_of(const std::vector<int64_t>& all, const Batch& batch, int64_t row) {
  const auto begin = all.begin() + row * batch.length;
  return {begin, begin + batch.lengths[static_cast<size_t>(row)]};
}

// What the row was before it was masked.
Sequence unmasked(const Batch& batch, int64_t row) {
  const std::vector<int64_t> inputs = row_of(batch.inputs, batch, row);
  const std::vector<int64_t> labels = row_of(batch.labels, batch, row);
  Sequence text;
  for (size_t i = 0; i < inputs.size(); ++i)
    text.push_back(static_cast<int32_t>(labels[i] == kNotScored ? inputs[i] : labels[i]));
  return text;
}

TEST(EncoderTask, EveryTextComesOnceAnEpochWithItsClass) {
  const ReadTexts all = texts(200, true);
  const auto task = make_encoder_task("t", all, texts(5, true), 0);
  std::set<int64_t> seen;
  for (int64_t step = 0; seen.size() < 200; ++step) {
    const Batch batch = task->train_batch(7, step, 150);
    EXPECT_EQ(batch.labels_a_row, 1);
    EXPECT_LE(batch.size * batch.length, 150);
    ASSERT_EQ(batch.labels.size(), static_cast<size_t>(batch.size));
    for (int64_t row = 0; row < batch.size; ++row) {
      const int64_t number = batch.labels[static_cast<size_t>(row)];
      EXPECT_TRUE(seen.insert(number).second);
      const std::vector<int64_t> read = row_of(batch.inputs, batch, row);
      EXPECT_EQ(Sequence(read.begin(), read.end()), all.texts[static_cast<size_t>(number)]);
    }
  }
}

TEST(EncoderTask, OfEveryTextASeventhIsMaskedAndNothingElseChanges) {
  const ReadTexts all = texts(400, false);
  const auto task = make_encoder_task("t", all, texts(5, false), 0, kMasking);
  std::multiset<Sequence> left(all.texts.begin(), all.texts.end());
  int64_t guessed = 0, masked = 0, same = 0;
  for (int64_t step = 0; !left.empty(); ++step) {
    const Batch batch = task->train_batch(7, step, 300);
    ASSERT_EQ(batch.labels.size(), batch.inputs.size());
    for (int64_t row = 0; row < batch.size; ++row) {
      const Sequence text = unmasked(batch, row);
      const auto found = left.find(text);
      ASSERT_NE(found, left.end()) << "step " << step << ", row " << row;
      left.erase(found);
      const std::vector<int64_t> inputs = row_of(batch.inputs, batch, row);
      const std::vector<int64_t> labels = row_of(batch.labels, batch, row);
      EXPECT_EQ(labels.front(), kNotScored);
      EXPECT_EQ(labels.back(), kNotScored);
      int64_t of_row = 0;
      for (size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] == kNotScored) continue;
        ++of_row;
        masked += inputs[i] == kMasking.mask;
        same += inputs[i] == labels[i];
        EXPECT_GE(inputs[i], kMasking.first);
      }
      const double share = 0.15 * static_cast<double>(text.size() - 2);
      EXPECT_EQ(of_row, std::max<int64_t>(1, std::llround(share)));
      guessed += of_row;
    }
  }
  // Of some 1,400 tokens; four standard deviations.
  const auto total = static_cast<double>(guessed);
  EXPECT_NEAR(static_cast<double>(masked) / total, 0.8, 4 * std::sqrt(0.16 / total));
  EXPECT_NEAR(static_cast<double>(same) / total, 0.1, 4 * std::sqrt(0.09 / total));
}

TEST(EncoderTask, MasksDependOnSeedAndStepAndThoseForValidationOnNothing) {
  const auto one = make_encoder_task("t", texts(30, false), texts(9, false), 0, kMasking);
  const auto other = make_encoder_task("t", texts(30, false), texts(9, false), 0, kMasking);
  for (int64_t step = 0; step < 20; ++step) one->train_batch(7, step, 5000);
  EXPECT_EQ(one->train_batch(7, 11, 5000).inputs, other->train_batch(7, 11, 5000).inputs);
  EXPECT_NE(one->train_batch(7, 11, 5000).inputs, one->train_batch(7, 12, 5000).inputs);
  EXPECT_NE(one->train_batch(8, 11, 5000).inputs, one->train_batch(7, 11, 5000).inputs);
  EXPECT_EQ(one->test_set(9).inputs, other->test_set(9).inputs);
}

TEST(EncoderTask, ATextOfSpecialTokensAloneAsksForNothing) {
  const ReadTexts empty = {{{3, 1}, {3, 1000, 1}}, {}};
  const Batch batch = make_encoder_task("t", texts(3, false), empty, 0, kMasking)->test_set(2);
  EXPECT_THAT(batch.inputs, ::testing::ElementsAre(3, 1, 0, 3, 1000, 1));
  EXPECT_THAT(batch.labels, ::testing::Each(kNotScored));
}

}  // namespace
}  // namespace headlight::task
