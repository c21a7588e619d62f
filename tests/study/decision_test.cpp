// From accuracies to a sentence.
#include "study/decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headlight::study {
namespace {

using testing::HasSubstr;
using testing::Not;

// Runs of one task whose accuracy at a head count is the same in every sequence of a seed.
class Decision : public testing::Test {
 protected:
  Decision() {
    settings_.tasks = {{.name = "copy(8,4)", .steps = 100}};
    settings_.heads = {1, 4, 16};
    settings_.seeds = 5;
  }
  void add(int64_t heads, std::vector<double> accuracy_by_seed, double rate = 0.1,
           double validation_loss = 0) {
    for (size_t seed = 0; seed < accuracy_by_seed.size(); ++seed) {
      RunResult r;
      r.steps = 100;
      r.test_accuracy = accuracy_by_seed[seed];
      r.items.assign(20, accuracy_by_seed[seed]);
      r.validation_loss = validation_loss;
      if (r.test_accuracy >= 0.95) r.steps_to_target = 50 + int64_t(seed);
      runs_.push_back({{.task = 0, .heads = heads, .seed = seed, .rate = rate}, r});
    }
  }
  std::string sentence() { return decide(settings_, runs_).sentences.at(0); }

  Settings settings_;
  std::vector<FinishedRun> runs_;
};

TEST_F(Decision, EqualRunsMakeNoDifference) {
  for (const int64_t heads : {1, 4, 16}) add(heads, {1, 1, 1, 1, 1});
  EXPECT_THAT(sentence(), HasSubstr("no difference"));
  EXPECT_THAT(sentence(), HasSubstr("1 to 16 heads all get 100.0 %"));
}

TEST_F(Decision, ASlowSingleHeadIsNamedWithItsInterval) {
  add(1, {0.41, 0.38, 0.43, 0.40, 0.42});
  add(4, {0.999, 1, 0.998, 1, 0.999});
  add(16, {1, 1, 0.999, 0.998, 1});
  EXPECT_THAT(sentence(), HasSubstr("4 heads are enough"));
  EXPECT_THAT(sentence(), HasSubstr("1 head is worse by 59"));
  EXPECT_THAT(sentence(), HasSubstr("95 % interval"));
}

TEST_F(Decision, WhatTheSeedsCannotDecideIsSaid) {
  add(1, {1, 1, 1, 1, 1});
  add(4, {0.99, 1, 0.98, 1, 1});
  EXPECT_THAT(sentence(), HasSubstr("5 seeds cannot decide about 4 heads"));
  const study::Decision decision = decide(settings_, runs_);
  ASSERT_EQ(decision.comparisons.size(), 1u);
  EXPECT_EQ(decision.comparisons[0].verdict, "not decided");
  EXPECT_EQ(decision.comparisons[0].more_seeds, 15);
}

TEST_F(Decision, DifferencesArePairedBySeed) {
  // The seeds differ a lot, the pairs not at all.
  add(1, {0.2, 0.9, 0.5, 0.7, 0.3});
  add(4, {0.201, 0.901, 0.501, 0.701, 0.301});
  const study::Decision decision = decide(settings_, runs_);
  EXPECT_EQ(decision.comparisons.at(0).verdict, "no difference");
  EXPECT_NEAR(decision.comparisons.at(0).difference, 0.001, 1e-12);
}

TEST_F(Decision, TextIsJudgedByItsLoss) {
  settings_.tasks[0].name = "text";
  const auto with_loss = [&](int64_t heads, double loss, double accuracy) {
    add(heads, std::vector(5, accuracy));
    for (auto run = runs_.end() - 5; run != runs_.end(); ++run) {
      run->result.test_loss = loss;
      run->result.item_losses.assign(20, loss);
    }
  };
  with_loss(1, 1.5, 0.6);  // the most often right, but the least sure
  with_loss(4, 1.2, 0.5);
  with_loss(16, 1.205, 0.4);
  EXPECT_EQ(sentence(),
            "After 100 steps 4 heads are enough (a test loss of 1.200 nats); 16 heads make no "
            "difference; 1 head is worse by 0.300 nats (95 % interval 0.300 to 0.300).");
  const study::Decision decision = decide(settings_, runs_);
  EXPECT_NEAR(decision.comparisons.at(0).difference, -0.3, 1e-12) << "4 against 1, in nats";
  EXPECT_EQ(decision.comparisons.at(0).verdict, "better");
  EXPECT_NEAR(decision.cells.at(1).loss_low.value(), 1.2, 1e-12);
}

TEST_F(Decision, OfSeveralRatesTheLowestValidationLossIsKept) {
  add(1, {0.9, 0.9}, 0.1, 2.0);
  add(1, {0.5, 0.5}, 0.2, 1.0);
  const study::Decision decision = decide(settings_, runs_);
  ASSERT_EQ(decision.cells.size(), 1u);
  EXPECT_EQ(decision.cells[0].rate, 0.2);
  EXPECT_EQ(decision.cells[0].accuracy_mean, 0.5);
}

TEST_F(Decision, StepsToTargetAreTheMeanOfTheSeedsThatGotThere) {
  add(4, {1, 0.5, 1});
  const study::Decision decision = decide(settings_, runs_);
  EXPECT_EQ(decision.cells[0].reached, 2);
  EXPECT_EQ(decision.cells[0].steps_to_target_mean, 51);
}

TEST_F(Decision, ATaskWithoutRunsSaysSo) {
  EXPECT_THAT(sentence(), HasSubstr("No run"));
  EXPECT_THAT(sentence(), Not(HasSubstr("enough")));
}

}  // namespace
}  // namespace headlight::study
