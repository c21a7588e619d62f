// Training from a seed to a checkpoint, in one sitting and in several.
#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "headlight/error.h"
#include "model/checkpoint.h"

namespace headlight::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Trainer : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  model::Config config(int64_t heads = 2) const {
    model::Config c;
    c.vocabulary = task_->info().symbols;
    c.classes = task_->info().classes;
    c.dim = 16;
    c.ffn = 32;
    c.heads = heads;
    c.positions = task_->info().length;
    c.dropout = 0.1;  // so that a resume must find the same masks again
    return c;
  }

  Result run(const fs::path& name, const Settings& settings, const Observer& observer = {}) {
    return train(model::initialised(config(), settings.seed), *task_, test_, settings,
                 folder_ / name, observer);
  }

  static Settings settings() {
    return {.steps = 40, .batch = 8, .learning_rate = 3e-3, .seed = 3, .evaluate_every = 10};
  }

  static std::string bytes(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::unique_ptr<task::Task> task_ = task::make_task("cycle(8,6)", {});
  task::Batch test_ = task_->test_set(32);
  fs::path folder_;
};

TEST_F(Trainer, ItLearnsAnEasyTask) {
  Settings s = settings();
  s.steps = 300;
  const Result result = run("a", s);
  EXPECT_LT(result.curve.back().test_loss, 0.5 * result.curve.front().test_loss);
  EXPECT_EQ(result.curve.size(), 30u);
  EXPECT_EQ(result.steps, 300);
}

TEST_F(Trainer, InBfloat16ItLearnsAsMuchAndIsAnotherRun) {
  Settings in_bfloat16 = settings();
  in_bfloat16.precision = model::Precision::bfloat16;
  const Result wide = run("wide", settings()), narrow = run("narrow", in_bfloat16);
  EXPECT_NE(narrow.curve.back().test_loss, wide.curve.back().test_loss);
  EXPECT_NEAR(narrow.curve.back().test_loss, wide.curve.back().test_loss, 0.05);
  EXPECT_EQ(bytes(folder_ / "narrow/model.safetensors").size(),
            bytes(folder_ / "wide/model.safetensors").size());
  EXPECT_THROW(run("narrow", settings()), Error);
}

TEST_F(Trainer, TheSameSeedGivesTheSameBytes) {
  run("a", settings());
  run("b", settings());
  EXPECT_EQ(bytes(folder_ / "a/model.safetensors"), bytes(folder_ / "b/model.safetensors"));
  Settings other = settings();
  other.seed = 4;
  run("c", other);
  EXPECT_NE(bytes(folder_ / "a/model.safetensors"), bytes(folder_ / "c/model.safetensors"));
}

TEST_F(Trainer, ARunThatWasStoppedAtAnyStepEndsWithTheSameBytes) {
  const Result whole = run("whole", settings());
  for (const int64_t stop : {1, 9, 10, 11, 39}) {
    const std::string name = "stopped" + std::to_string(stop);
    const Result part =
        run(name, settings(), [&](int64_t step, double, const auto&) { return step != stop; });
    EXPECT_FALSE(part.finished);
    EXPECT_EQ(part.steps, stop);
    const Result rest = run(name, settings());
    EXPECT_TRUE(rest.finished);
    EXPECT_EQ(bytes(folder_ / name / "model.safetensors"),
              bytes(folder_ / "whole/model.safetensors"));
    EXPECT_EQ(nlohmann::json(rest.curve), nlohmann::json(whole.curve));
    EXPECT_EQ(rest.test.items, whole.test.items);
  }
}

TEST_F(Trainer, AFinishedRunIsReadAndNotTrainedAgain) {
  const Result first = run("a", settings());
  int64_t steps = 0;
  const Result second = run("a", settings(), [&](int64_t, double, const auto&) {
    ++steps;
    return true;
  });
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(second.test.loss, first.test.loss);
}

TEST_F(Trainer, AFolderOfAnotherRunIsRefused) {
  run("a", settings());
  Settings other = settings();
  other.learning_rate = 1e-4;
  EXPECT_THROW(
      {
        try {
          run("a", other);
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::bad_input);
          EXPECT_THAT(error.what(), HasSubstr("settings"));
          throw;
        }
      },
      Error);
}

TEST_F(Trainer, ItStopsAtTheTargetIfAskedTo) {
  Settings s = settings();
  s.steps = 2000;
  s.learning_rate = 1e-2;
  s.target_accuracy = 0.5;
  s.stop_at_target = true;
  const Result result = run("a", s);
  ASSERT_TRUE(result.steps_to_target.has_value());
  EXPECT_EQ(result.steps, *result.steps_to_target);
  EXPECT_LT(result.steps, 2000);
}

TEST_F(Trainer, DivergenceStopsTheRunAndKeepsTheLastCheckpoint) {
  Settings s = settings();
  s.checkpoint_seconds = 0;
  s.learning_rate = 1e38;
  EXPECT_THROW(
      {
        try {
          run("a", s);
        } catch (const Error& error) {
          EXPECT_THAT(error.what(), HasSubstr("learning rate"));
          throw;
        }
      },
      Error);
  EXPECT_TRUE(fs::exists(folder_ / "a/training.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ / "a/model.safetensors"));
}

TEST_F(Trainer, TheTrainedModelLoadsAndScoresAsReported) {
  const Result result = run("a", settings());
  const Evaluation again = evaluate(model::load(folder_ / "a"), test_);
  EXPECT_EQ(again.loss, result.test.loss);
  EXPECT_EQ(again.items, result.test.items);
}

// With weights of about step^power, among steps 1 to 3: in whole numbers for power 1.
TEST_F(Trainer, TheResultIsAnAverageOverSteps) {
  Settings s = settings();
  s.evaluate_every = 1;
  std::vector<at::Tensor> after;
  for (const int64_t steps : {1, 2, 3}) {
    s.steps = steps;
    run(std::to_string(steps), s);
    after.push_back(model::load(folder_ / std::to_string(steps)).output.weight.detach());
  }
  s.average = 1;
  run("average", s);
  const at::Tensor expected = (1 * after[0] + 2 * after[1] + 3 * after[2]) / 6;
  EXPECT_LT((model::load(folder_ / "average").output.weight - expected).abs().max().item<float>(),
            1e-6);
}

TEST_F(Trainer, AnAverageThatWasInterruptedIsTheSame) {
  Settings s = settings();
  s.average = 8;
  run("whole", s);
  run("parts", s, [](int64_t step, double, const auto&) { return step != 17; });
  run("parts", s);
  EXPECT_EQ(bytes(folder_ / "parts/model.safetensors"), bytes(folder_ / "whole/model.safetensors"));
}

TEST_F(Trainer, AJudgeSeesTheModelAtEveryPointOfTheCurve) {
  int64_t calls = 0, saved = 0;
  const Result result = train(
      model::initialised(config(), settings().seed), *task_, test_, settings(), folder_ / "a", {},
      [&](const model::Transformer&, const Evaluation& test) {
        return double(10 * ++calls) + test.accuracy;
      },
      [&](const model::Transformer&, const fs::path&) { ++saved; });
  ASSERT_EQ(result.curve.size(), 4u);
  EXPECT_EQ(result.curve[3].score, 40 + result.curve[3].test_accuracy);
  EXPECT_EQ(saved, 1);
  EXPECT_FALSE(fs::exists(folder_ / "a/model.safetensors"));
}

TEST_F(Trainer, ABudgetOfTimeEndsARunWithAPointOfTheCurve) {
  Settings s = settings();
  s.steps = 1'000'000;
  s.evaluate_every = 1'000'000;
  s.budget_seconds = 0.2;
  const Result result = run("a", s);
  EXPECT_TRUE(result.finished);
  ASSERT_EQ(result.curve.size(), 1u);
  EXPECT_EQ(result.curve[0].step, result.steps);
  EXPECT_TRUE(fs::exists(folder_ / "a/model.safetensors"));
  // More time, and it goes on.
  s.budget_seconds = 0.5;
  EXPECT_GT(run("a", s).steps, result.steps);
}

}  // namespace
}  // namespace headlight::train
