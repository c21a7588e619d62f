// Learning rates over time, and settings that make no sense.
#include "train/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "headlight/error.h"

namespace headlight::train {
namespace {

using testing::HasSubstr;

TEST(LearningRate, AConstantRateStaysWhatItIs) {
  const Settings s{.steps = 100, .learning_rate = 0.5};
  EXPECT_EQ(learning_rate_at(s, 0), 0.5);
  EXPECT_EQ(learning_rate_at(s, 99), 0.5);
}

TEST(LearningRate, ItRisesInEqualStepsDuringTheWarmUp) {
  Settings s{.steps = 100, .learning_rate = 1, .warmup = 10};
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 4), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 9), 1);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 10), 1);
}

TEST(LearningRate, TheCosineStartsAtTheRateAndPassesHalfInTheMiddle) {
  const Settings s{.steps = 120, .learning_rate = 2, .schedule = Schedule::cosine, .warmup = 20};
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 20), 2);
  EXPECT_NEAR(learning_rate_at(s, 70), 1, 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 120), 0, 1e-12);
}

TEST(LearningRate, TheInverseRootMeetsTheEndOfTheWarmUp) {
  const Settings s{
      .steps = 5000, .learning_rate = 3, .schedule = Schedule::inverse_sqrt, .warmup = 400};
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 399), 3);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 1599), 1.5);
}

TEST(LearningRate, ABudgetShortensTheWarmUpAndEndsTheCosine) {
  Settings s{.steps = 1'000'000,
             .learning_rate = 2,
             .schedule = Schedule::cosine,
             .warmup = 1000,
             .budget_seconds = 60};
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 99, 0.001), 0.2);  // by its steps
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 99, 0.05), 1);     // by the time
  EXPECT_NEAR(learning_rate_at(s, 99, 0.5), 1, 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 5000, 0.5), 1, 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 99, 1), 0, 1e-12);
  s.steps = 1100;  // these end before the budget does
  EXPECT_NEAR(learning_rate_at(s, 1100, 0.5), 0, 1e-12);
  s.schedule = Schedule::inverse_sqrt;
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 99, 0.5), 2);
}

TEST(TrainingSettings, TheySurviveTheJourneyThroughJson) {
  const Settings s{.steps = 7,
                   .optimizer = Optimizer::adamw,
                   .schedule = Schedule::cosine,
                   .warmup = 3,
                   .weight_decay = 0.25,
                   .seed = 0xFFFFFFFFFFFFFFFFull};
  const nlohmann::json json = s;
  EXPECT_EQ(nlohmann::json(json.get<Settings>()), json);
  EXPECT_EQ(json.get<Settings>().seed, s.seed);
}

TEST(TrainingSettings, WhatMakesNoSenseIsRefusedByName) {
  const auto complaint = [](Settings s) -> std::string {
    try {
      validate(s);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(complaint({.steps = 0}), HasSubstr("steps"));
  EXPECT_THAT(complaint({.batch = 0}), HasSubstr("batch"));
  EXPECT_THAT(complaint({.learning_rate = NAN}), HasSubstr("learning rate"));
  EXPECT_THAT(complaint({.steps = 5, .warmup = 5}), HasSubstr("warmup"));
  EXPECT_THAT(complaint({.schedule = Schedule::inverse_sqrt}), HasSubstr("inverse_sqrt"));
  EXPECT_THAT(complaint({.weight_decay = 0.1}), HasSubstr("adamw"));
  EXPECT_THAT(complaint({.clip_norm = -1}), HasSubstr("clip norm"));
  EXPECT_THAT(complaint({.target_accuracy = 1.5}), HasSubstr("target accuracy"));
  EXPECT_EQ(complaint({}), "accepted");
}

}  // namespace
}  // namespace headlight::train
