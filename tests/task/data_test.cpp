// What holds for the data of every synthetic task.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "../tensorfile/temporary_folder.h"
#include "task/task.h"

namespace headlight::task {
namespace {

using Symbols = std::vector<int64_t>;

Symbols input(const Batch& batch, int64_t i) {
  return {batch.inputs.begin() + i * batch.length, batch.inputs.begin() + (i + 1) * batch.length};
}

bool same(const Batch& a, const Batch& b) { return a.inputs == b.inputs && a.labels == b.labels; }

// One small size of each.
const std::vector<std::string>& small_tasks() {
  static const std::vector<std::string> names = {
      "copy(8,2)",      "cycle(8,2)", "fetch(4,2,1)", "lookback(8,2,1 2)", "count(8,2,1 2)",
      "recall(16,8,2)", "sort(8,2)",  "reverse(8,2)", "hops(8,3,2)"};
  return names;
}

TEST(Data, ABatchIsAFunctionOfSeedStepAndSize) {
  for (const int64_t samples : {0, 100}) {
    for (const auto& [form, name, meaning] : task_forms()) {
      const auto task = make_task(name, {.samples = samples});
      const auto again = make_task(name, {.samples = samples});
      const Batch batch = task->train_batch(1, 7, 16);
      task->train_batch(2, 8, 3);  // what was asked before does not matter
      EXPECT_TRUE(same(batch, task->train_batch(1, 7, 16))) << name;
      EXPECT_TRUE(same(batch, again->train_batch(1, 7, 16))) << name;
      EXPECT_FALSE(same(batch, task->train_batch(1, 8, 16))) << name;
      EXPECT_FALSE(same(batch, task->train_batch(2, 7, 16))) << name;
    }
  }
}

TEST(Data, TheTestSetOfFewIsTheBeginningOfThatOfMany) {
  for (const auto& [form, name, meaning] : task_forms()) {
    const auto task = make_task(name);
    const Batch few = task->test_set(10), many = task->test_set(30);
    EXPECT_TRUE(std::equal(few.inputs.begin(), few.inputs.end(), many.inputs.begin())) << name;
    EXPECT_TRUE(std::equal(few.labels.begin(), few.labels.end(), many.labels.begin())) << name;
  }
}

TEST(Data, NoTrainingInputIsATestInputEvenInASmallSpace) {
  for (const int64_t samples : {0, 200}) {
    for (const std::string& name : small_tasks()) {
      const auto task = make_task(name, {.samples = samples});
      const Batch test = task->test_set(512);
      std::set<Symbols> held_out;
      for (int64_t i = 0; i < test.size; ++i) held_out.insert(input(test, i));
      EXPECT_GT(held_out.size(), 4u) << name;
      for (int64_t step = 0; step < 40; ++step) {
        const Batch batch = task->train_batch(static_cast<uint64_t>(step % 3), step, 64);
        for (int64_t i = 0; i < batch.size; ++i) {
          ASSERT_FALSE(held_out.contains(input(batch, i))) << name;
        }
      }
    }
  }
}

TEST(Data, FreshSamplesAreNotRepeated) {
  const auto task = make_task("copy(32,64)");
  std::set<Symbols> seen;
  for (int64_t step = 0; step < 100; ++step) {
    const Batch batch = task->train_batch(0, step, 50);
    for (int64_t i = 0; i < batch.size; ++i) seen.insert(input(batch, i));
  }
  EXPECT_EQ(seen.size(), 5000u);
}

TEST(Data, AFixedSetIsSeenOnceAnEpochInAnotherOrderEachTime) {
  const auto task = make_task("copy(32,64)", {.samples = 100});
  std::vector<std::vector<Symbols>> epochs(3);
  for (int64_t step = 0; step < 75; ++step) {  // 4 a step: 25 steps an epoch
    const Batch batch = task->train_batch(5, step, 4);
    for (int64_t i = 0; i < 4; ++i)
      epochs[static_cast<size_t>(step / 25)].push_back(input(batch, i));
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  const std::set<Symbols> first(epochs[0].begin(), epochs[0].end());
  EXPECT_EQ(first.size(), 100u);
  for (const auto& epoch : epochs) EXPECT_EQ(std::set<Symbols>(epoch.begin(), epoch.end()), first);
  // Another seed, another set.
  EXPECT_FALSE(first.contains(input(task->train_batch(6, 0, 1), 0)));
}

TEST(Data, EpochsMayEndInsideABatch) {
  const auto task = make_task("copy(32,64)", {.samples = 10});
  std::map<Symbols, int> seen;
  for (int64_t step = 0; step < 10; ++step) {
    const Batch batch = task->train_batch(0, step, 3);
    for (int64_t i = 0; i < 3; ++i) ++seen[input(batch, i)];
  }
  EXPECT_EQ(seen.size(), 10u);
  for (const auto& [symbols, count] : seen) EXPECT_EQ(count, 3);
}

TEST(Noise, ReplacesInputsAtItsRateAndLeavesTheLabels) {
  for (const auto& [form, name, meaning] : task_forms()) {
    const auto clean_task = make_task(name), noisy_task = make_task(name, {.noise = 0.3});
    const Batch clean = clean_task->test_set(400), noisy = noisy_task->test_set(400);
    // What can be replaced at all: not a separator, which is the only one of its kind.
    const Batch all = make_task(name, {.noise = 1})->test_set(400);
    EXPECT_EQ(clean.labels, noisy.labels);
    double replaceable = 0, changed = 0;
    for (size_t i = 0; i < clean.inputs.size(); ++i) {
      replaceable += clean.inputs[i] != all.inputs[i];
      changed += clean.inputs[i] != noisy.inputs[i];
      ASSERT_TRUE(noisy.inputs[i] >= 0 && noisy.inputs[i] < clean_task->info().symbols);
      if (clean.inputs[i] == all.inputs[i]) {
        ASSERT_EQ(clean.inputs[i], noisy.inputs[i]) << name;
      }
    }
    EXPECT_GT(replaceable, 0.3 * static_cast<double>(clean.inputs.size())) << name;
    EXPECT_NEAR(changed / replaceable, 0.3, 5 * std::sqrt(0.21 / replaceable)) << name;
    EXPECT_TRUE(same(clean_task->train_batch(0, 0, 8), noisy_task->train_batch(0, 0, 8)));
    EXPECT_TRUE(same(noisy, make_task(name, {.noise = 0.3})->test_set(400)));
  }
}

TEST(Noise, PutsOnlySymbolsThatCouldStandThere) {
  const Batch noisy = make_task("fetch(16,2,6)", {.noise = 1})->test_set(50);
  for (size_t i = 0; i < noisy.inputs.size(); ++i) {
    EXPECT_EQ(noisy.labels[i] != kNotScored, noisy.inputs[i] >= 2);
  }
}

TEST(Noise, MoreOfItReplacesWhatLessReplaced) {
  const Batch clean = make_task("copy(32,64)")->test_set(100);
  const Batch little = make_task("copy(32,64)", {.noise = 0.1})->test_set(100);
  const Batch much = make_task("copy(32,64)", {.noise = 0.4})->test_set(100);
  for (size_t i = 0; i < clean.inputs.size(); ++i) {
    if (little.inputs[i] != clean.inputs[i]) {
      EXPECT_EQ(much.inputs[i], little.inputs[i]);
    }
  }
}

}  // namespace
}  // namespace headlight::task
