// Section F, and the parts of section D that need no model.
#include <gtest/gtest.h>

#include <cmath>

#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "heads/bootstrap.h"
#include "heads/clusters.h"
#include "heads/effective_heads.h"
#include "heads/importance.h"
#include "heads/parameter_count.h"
#include "heads/spearman.h"
#include "heads/verdict.h"

namespace headlight::heads {
namespace {

TEST(SplitMix64, SeedOfThePaperStartsWithItsNumbers) {
  SplitMix64 random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
}

TEST(Bootstrap, AConstantDifferenceHasNoSpread) {
  const Interval interval = two_level_bootstrap({{0.5, 0.5}, {0.5, 0.5}}, 1000, 1);
  EXPECT_DOUBLE_EQ(interval.mean, 0.5);
  EXPECT_DOUBLE_EQ(interval.low, 0.5);
  EXPECT_DOUBLE_EQ(interval.high, 0.5);
  EXPECT_NEAR(interval.p, 2.0 / 1001, 1e-12);
}

TEST(Bootstrap, SeedsThatDisagreeWidenTheInterval) {
  const std::vector<double> up(50, 1.0), down(50, -1.0);
  const Interval both = two_level_bootstrap({up, down}, 4000, 7);
  EXPECT_DOUBLE_EQ(both.low, -1);
  EXPECT_DOUBLE_EQ(both.high, 1);
  EXPECT_EQ(both.p, 1);
}

TEST(Bootstrap, NothingToResampleIsRefused) {
  EXPECT_THROW(two_level_bootstrap({}, 10, 1), Error);
  EXPECT_THROW(two_level_bootstrap({{1, 2}, {1}}, 10, 1), Error);
  EXPECT_THROW(paired_bootstrap({1, 2}, 0, 1), Error);
}

TEST(Verdict, TheMarginComesFirst) {
  EXPECT_EQ(verdict(0.001, 0.004, 0.005), "no difference");
  EXPECT_EQ(verdict(0.001, 0.1, 0.005), "better");
  EXPECT_EQ(verdict(-0.1, -0.001, 0.005), "worse");
  EXPECT_EQ(verdict(-0.1, 0.1, 0.005), "not decided");
  EXPECT_EQ(verdict(0, 0.1, 0.005), "not decided");
}

TEST(Holm, CorrectsFromTheSmallestOn) {
  const std::vector<double> corrected = holm({0.04, 0.01, 0.03});
  EXPECT_NEAR(corrected[1], 0.03, 1e-12);
  EXPECT_NEAR(corrected[2], 0.06, 1e-12);
  EXPECT_NEAR(corrected[0], 0.06, 1e-12) << "never below a smaller one";
}

TEST(Spearman, RanksTiesByTheirAverage) {
  EXPECT_NEAR(*spearman({1, 2, 3, 4}, {10, 20, 30, 40}), 1, 1e-12);
  EXPECT_NEAR(*spearman({1, 2, 3, 4}, {4, 3, 2, 1}), -1, 1e-12);
  EXPECT_NEAR(*spearman({1, 2, 2, 3}, {1, 2, 3, 4}), 4.5 / std::sqrt(4.5 * 5), 1e-12);
  EXPECT_FALSE(spearman({1, 2}, {1, 2}));
  EXPECT_FALSE(spearman({1, 1, 1}, {1, 2, 3}));
}

TEST(ParameterCount, PublishedModelsHaveTheirNumbers) {
  for (const int64_t heads : {1, 4, 16})
    EXPECT_EQ(parameter_count({.vocabulary = 256,
                               .positions = 100,
                               .dim = 64,
                               .layers = 4,
                               .heads = heads,
                               .ffn = 128}),
              172800);
  EXPECT_EQ(parameter_count({.vocabulary = 50257,
                             .positions = 1024,
                             .dim = 768,
                             .layers = 12,
                             .heads = 12,
                             .ffn = 3072,
                             .layer_norm = true,
                             .final_norm = true,
                             .tied = true,
                             .output_bias = false}),
            124439808);
}

TEST(EffectiveHeads, TwoHeadsHalfAlikeHaveAClosedForm) {
  EXPECT_NEAR(*effective_heads({{1, 0.5}, {0.5, 1}}), 1.754765, 1e-6);
  EXPECT_NEAR(*effective_heads({{1, 1, 0}, {1, 1, 0}, {0, 0, 1}}),
              std::exp(std::log(3) - 2.0 / 3 * std::log(2)), 1e-12);
}

TEST(Clusters, AverageLinkageStopsAtTheCut) {
  const HeadMatrix distance = {
      {0, 0.1, 0.9, 0.9}, {0.1, 0, 0.9, 0.9}, {0.9, 0.9, 0, 0.2}, {0.9, 0.9, 0.2, 0}};
  const Clusters near = cluster_heads(distance, 0.15);
  EXPECT_EQ(near.labels, (std::vector<int64_t>{0, 0, 1, 2}));
  EXPECT_EQ(near.medoids, (std::vector<int64_t>{0, 2, 3}));
  const Clusters all = cluster_heads(distance, 0.9);
  EXPECT_EQ(all.labels, (std::vector<int64_t>{0, 0, 0, 0}));
}

TEST(Importance, ScoresReduceOverExamples) {
  const GateScores scores = gate_scores({{1, -3}, {-1, -1}});
  EXPECT_EQ(scores.gate_gradient, (std::vector<double>{0, -2}));
  EXPECT_EQ(scores.gate_gradient_absolute, (std::vector<double>{0, 2}));
  EXPECT_EQ(scores.gate_gradient_per_example, (std::vector<double>{1, 2}));
  EXPECT_NEAR(scores.gate_gradient_per_example_l2[1], 2 / std::sqrt(5.0), 1e-12);
}

TEST(Importance, GreedyRemovalTakesTheCheapestHeadEachTime) {
  const std::vector<double> cost = {3, 1, 2};
  const auto loss = [&](const std::vector<bool>& removed) {
    double sum = 0;
    for (size_t h = 0; h < removed.size(); ++h) sum += removed[h] ? cost[h] : 0;
    return sum;
  };
  const RemovalCurve curve = greedy_removal(3, loss);
  EXPECT_EQ(curve.order, (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(curve.losses, (std::vector<double>{0, 1, 3, 6}));
  EXPECT_EQ(removal_by_score({1, 2, 0}, loss).losses, (std::vector<double>{0, 2, 5, 6}));
  EXPECT_EQ(free_heads(curve.losses, 1), 1);
}

}  // namespace
}  // namespace headlight::heads
