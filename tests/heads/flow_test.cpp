// Information flow against closed forms (metrics.md, A.8), brute force and its own inequalities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "heads/stable_solve.h"
#include "heads/walks.h"
#include "patterns.h"

namespace headlight::heads {
namespace {

constexpr double kInfinity = HUGE_VAL;

TEST(Flow, ACausalChainIsCrossedOneTokenAStep) {
  for (const int64_t n : {2, 3, 7, 50}) {
    const Flow flow = flow_of(chain(n), n, true);
    const double count = static_cast<double>(n);
    EXPECT_DOUBLE_EQ(flow.hitting_times[0], count);
    for (int64_t i = 1; i < n; ++i)
      EXPECT_DOUBLE_EQ(flow.hitting_times[i], static_cast<double>(n - 1 - i));
    EXPECT_NEAR(*flow.mixing_published, (100 + (count - 1) * (count - 2) / 2) / count, 1e-12);
    EXPECT_EQ(flow.forward_mixing->count, count);
    EXPECT_EQ(flow.forward_mixing_l1->count, count + 2);
    EXPECT_EQ(flow.backward_mixing->count, count - 1);
    EXPECT_EQ(*flow.fidelity_published, 0);
    EXPECT_EQ(*flow.fidelity, 1);
    EXPECT_EQ(*flow.normalised_fidelity, count);
  }
}

TEST(Flow, ALazyChainTakesTwiceAsLong) {
  const int64_t n = 12, m = n - 2;
  Rows rows = chain(n);
  for (double& x : rows) x /= 2;
  for (int64_t i = 0; i < n; ++i) rows[i * n + i] += 0.5;
  const Flow flow = flow_of(rows, n, true);
  EXPECT_NEAR(flow.hitting_times[0], 2 * n - 1, 1e-12);
  for (int64_t i = 1; i < n; ++i) EXPECT_NEAR(flow.hitting_times[i], 2 * (n - 1 - i), 1e-12);
  const double central =
      std::exp(std::lgamma(2 * m + 1) - 2 * std::lgamma(m + 1) - m * std::log(4));
  EXPECT_NEAR(*flow.fidelity, central, 1e-12);
}

TEST(Flow, TheIdentitySendsNothing) {
  const int64_t n = 6;
  const Flow flow = flow_of(identity(n), n, true);
  EXPECT_EQ(*flow.hitting_mean, kInfinity);
  EXPECT_EQ(*flow.unreachable, n - 1);
  EXPECT_EQ(*flow.hitting_mean_reachable, 0);
  EXPECT_NEAR(*flow.mixing_published, 100.0 * (n - 1) / n, 1e-12);
  EXPECT_EQ(flow.forward_mixing->count, kInfinity);
  EXPECT_EQ(flow.backward_mixing->count, kInfinity);
  EXPECT_EQ(*flow.fidelity, 0);
}

TEST(Flow, EveryoneOnTheFirstTokenLeavesTheRestUnheard) {
  const int64_t n = 9;
  const Flow flow = flow_of(one_hot(n, [](int64_t) { return 0; }), n, true);
  EXPECT_EQ(*flow.unreachable, n - 1);
  EXPECT_NEAR(*flow.mixing_published, (100.0 + n - 2) / n, 1e-12);
  EXPECT_EQ(flow.backward_mixing->count, 1);
  EXPECT_EQ(flow.arrivals[0], 1);
}

TEST(Flow, UniformAttentionMixesInOneStepOfMemory) {
  for (const int64_t n : {2, 5, 20}) {
    const double count = static_cast<double>(n);
    const Flow flow = flow_of(uniform(n, false), n, false);
    EXPECT_NEAR(*flow.hitting_mean, count - 1, 1e-10);
    EXPECT_NEAR(*flow.mixing_published, (count - 1) * (1 - std::pow(1 - 1 / count, 100)), 1e-10);
    EXPECT_EQ(flow.forward_mixing->count, std::ceil(std::log(4) / -std::log1p(-1 / count) - 1e-9));
    EXPECT_FALSE(flow.backward_mixing);
    EXPECT_NEAR(*flow.normalised_fidelity, 1, 1e-12);
  }
}

TEST(Flow, AFullCycleVisitsEveryone) {
  const int64_t n = 8;
  const Flow flow = flow_of(one_hot(n, [&](int64_t i) { return (i + n - 1) % n; }), n, false);
  EXPECT_NEAR(*flow.hitting_mean, (n - 1) / 2.0, 1e-12);
  EXPECT_NEAR(*flow.mixing_published, (n - 1) / 2.0, 1e-12);
  EXPECT_EQ(flow.forward_mixing->count, n - 1);
  EXPECT_EQ(*flow.fidelity, 1);
}

TEST(Flow, CausalUniformAttentionHasTheTabulatedTimes) {
  struct Known {
    int64_t n;
    double mean, largest, published;
    double forward, l1, backward;
  };
  for (const Known& known :
       {Known{2, 1.5, 3, 50, 4, 6, 2}, Known{4, 2.409340659, 4.113553114, 26.125, 5, 7, 4},
        Known{16, 3.828743847, 5.803295194, 8.529900577, 7, 9, 6},
        Known{100, 5.623979894, 7.912507016, 3.642398777, 10, 11, 8}}) {
    const Flow flow = flow_of(uniform(known.n, true), known.n, true);
    EXPECT_NEAR(*flow.hitting_mean, known.mean, 1e-9);
    EXPECT_NEAR(*flow.hitting_max, known.largest, 1e-9);
    EXPECT_NEAR(*flow.mixing_published, known.published, 1e-8);
    EXPECT_EQ(flow.forward_mixing->count, known.forward);
    EXPECT_EQ(flow.forward_mixing_l1->count, known.l1);
    EXPECT_EQ(flow.backward_mixing->count, known.backward);
    EXPECT_NEAR(*flow.fidelity_published, 100.0 / static_cast<double>(known.n), 1e-9);
  }
}

TEST(Flow, OneTokenIsThereAlready) {
  const Flow flow = flow_of({1.0}, 1, true);
  EXPECT_EQ(*flow.hitting_mean, 0);
  EXPECT_EQ(*flow.mixing_published, 0);
  EXPECT_EQ(*flow.fidelity_published, 100);
  EXPECT_FALSE(flow.fidelity);
  EXPECT_EQ(flow.forward_mixing->count, 0);
}

TEST(Flow, SixtyStepsAMinuteStillCountInASlowHead) {
  // Nearly the identity: 1 - P_ii is far below what a subtraction could keep.
  const int64_t n = 5;
  const double leak = 1e-13;
  Rows rows(n * n, 0.0);
  rows[0] = 1;
  for (int64_t i = 1; i < n; ++i) {
    rows[i * n + i] = 1 - leak;
    rows[i * n + i - 1] = leak;
  }
  const Flow flow = flow_of(rows, n, true);
  // Each node sends `leak` and keeps the rest: (kept + leak) / leak steps per token.
  EXPECT_NEAR(flow.hitting_times[n - 2] / (1 / leak), 1, 1e-12);
  EXPECT_NEAR(flow.hitting_times[1] / (3 / leak), 1, 1e-12);
}

TEST(Flow, HittingTimesSolveTheirEquations) {
  for (const bool causal : {true, false})
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      const int64_t n = 15;
      const Rows rows = random_rows(n, causal, 2, seed);
      const Flow flow = flow_of(rows, n, causal);
      Eigen::MatrixXd system = Eigen::MatrixXd::Identity(n - 1, n - 1);
      for (int64_t i = 0; i < n - 1; ++i) {
        double sent = 0;
        for (int64_t j = 0; j < n; ++j) sent += rows[j * n + i];
        for (int64_t j = 0; j < n - 1; ++j) system(i, j) -= rows[j * n + i] / sent;
      }
      const Eigen::VectorXd times = system.partialPivLu().solve(Eigen::VectorXd::Ones(n - 1));
      for (int64_t i = 0; i < n - 1; ++i)
        EXPECT_NEAR(flow.hitting_times[i] / times[i], 1, 1e-9) << seed;
    }
}

TEST(Flow, IterationFindsWhatEliminationFinds) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const int64_t n = 150;
    const TokenGraph graph(random_rows(n, false, 1.5, seed), n, n / 3, false);
    const std::vector<bool> stranded(n, false);
    const std::vector<double> exact = eliminate(graph, stranded);
    const HittingTimes found = iterate(graph, stranded);
    ASSERT_FALSE(found.residual);
    for (int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(found.times[i], exact[i], 1e-7 * (1 + exact[i])) << i;
  }
}

TEST(Flow, WhereIterationDoesNotSettleEliminationDoes) {
  // The sink hardly reads anybody, so that it takes about 1 / leak steps to meet it.
  constexpr int64_t kTokens = 150;
  for (const double leak : {1e-8, 1e-12, 1e-16}) {
    Rows rows = random_rows(kTokens, false, 1.5, 9);
    double* sink = rows.data() + (kTokens - 1) * kTokens;
    std::fill_n(sink, kTokens - 1, leak);
    sink[kTokens - 1] = 1;
    const TokenGraph graph(rows, kTokens, kTokens - 1, false);
    const std::vector<bool> stranded(kTokens, false);
    EXPECT_TRUE(iterate(graph, stranded).residual) << leak;
    const std::vector<double> times = hitting_times(graph).times;
    const std::vector<double> exact = eliminate(graph, stranded);
    for (int64_t i = 0; i < kTokens; ++i) EXPECT_EQ(times[i], exact[i]) << leak;
  }
}

TEST(Flow, BeyondWhatIsEliminatedUniformAttentionIsMetInAsManySteps) {
  constexpr int64_t kTokens = 4100;  // elimination ends at 4,096
  const std::vector<float> zeros(kTokens * 8, 0.0f);
  Attention attention{.heads = 1, .queries = kTokens, .keys = kTokens};
  const HeadTensor<const float> all{.data = zeros.data(), .row_stride = 8};
  attention.queries_and_keys = QueriesAndKeys{.q = all, .k = all, .kv_heads = 1, .head_dim = 8};
  AnalysisOptions options;
  options.redundancy = options.many_steps = false;
  const Flow flow = analyse(attention, options).flow.at(0).heads.at(0);
  EXPECT_NEAR(*flow.hitting_mean, kTokens - 1, 1e-3);
  EXPECT_FALSE(flow.hitting_residual);
}

TEST(Flow, BoundsByBackwardMixingHoldOnRandomGraphs) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const int64_t n = 2 + static_cast<int64_t>(seed % 40);
    const double sharpness = 0.5 * static_cast<double>(seed % 9);
    const Flow flow = flow_of(random_rows(n, true, sharpness, seed), n, true);
    ASSERT_TRUE(flow.backward_mixing);
    const double t = flow.backward_mixing->count;
    if (t < 1 || std::isinf(t)) continue;
    EXPECT_LE(*flow.normalised_fidelity, 8.0 / 3 * t);
    EXPECT_LE(*flow.normalised_fidelity_published, 8.0 / 3 * t);
    double sum = 0;
    for (int64_t i = 1; i < n; ++i) sum += flow.arrivals[i];
    EXPECT_LE(sum, 4.0 / 3 * t + 1e-9);
  }
}

TEST(Flow, SquaringFindsTheStepThatCountingFinds) {
  const int64_t n = 10;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Rows rows = random_rows(n, true, 6, seed);
    const TokenGraph graph(rows, n, n - 1, true);
    const ThresholdTimes fast = threshold_times(graph, 0, 200, 1 << 20);
    const ThresholdTimes lean = threshold_times(graph, 0, 200, 1);  // no power is kept
    EXPECT_EQ(fast.forward->count, lean.forward->count);
    EXPECT_EQ(fast.backward->count, lean.backward->count);
    if (fast.backward->count > 1e6) continue;
    std::vector<double> u(n, 1.0), next(n);
    u[0] = 0;
    int64_t steps = 0;
    for (; *std::max_element(u.begin(), u.end()) > 0.25 + 1e-9; ++steps) {
      for (int64_t j = 1; j < n; ++j) {
        next[j] = 0;
        for (int64_t i = 1; i <= j; ++i) next[j] += rows[j * n + i] * u[i];
      }
      next[0] = 0;
      std::swap(u, next);
    }
    EXPECT_EQ(fast.backward->count, static_cast<double>(steps)) << seed;
  }
}

TEST(Flow, AMatrixThatDoesNotFitIsMadeAgain) {
  for (const bool causal : {true, false}) {
    const RandomHeads made = random_heads(3, 3, 37, 8, causal, 5);
    AnalysisOptions streamed;
    streamed.memory_budget = 0;
    const LayerFlow a = analyse(made.attention).flow.at(0);
    const LayerFlow b = analyse(made.attention, streamed).flow.at(0);
    for (size_t h = 0; h < 3; ++h) {
      EXPECT_NEAR(*a.heads[h].mixing_published, *b.heads[h].mixing_published, 1e-9);
      EXPECT_NEAR(*a.heads[h].fidelity, *b.heads[h].fidelity, 1e-12);
      EXPECT_EQ(a.heads[h].forward_mixing->count, b.heads[h].forward_mixing->count);
      EXPECT_NEAR(*a.heads[h].hitting_mean / *b.heads[h].hitting_mean, 1, 1e-10);
    }
    EXPECT_NEAR(*a.combined_output_norm->flow.hitting_mean,
                *b.combined_output_norm->flow.hitting_mean, 1e-9);
  }
}

TEST(Flow, RenamingTheTokensOfAFullGraphChangesNothing) {
  const int64_t n = 11;
  const Rows rows = random_rows(n, false, 2, 3);
  Rows turned(n * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) turned[(i + 4) % n * n + (j + 4) % n] = rows[i * n + j];
  AnalysisOptions options;
  options.sink = (n - 1 + 4) % n;
  const Flow a = flow_of(rows, n, false);
  const Flow b = analyse(attention_of(turned, 1, n, false), options).flow[0].heads[0];
  EXPECT_NEAR(*a.hitting_mean, *b.hitting_mean, 1e-9);
  EXPECT_NEAR(*a.fidelity, *b.fidelity, 1e-12);
  EXPECT_EQ(a.forward_mixing->count, b.forward_mixing->count);
  EXPECT_FALSE(b.mixing_published) << "defined only if the sink is the last token";
}

TEST(Flow, ANamedCausalSinkCutsTheGraphToItsPrefix) {
  const int64_t n = 20, sink = 8, m = sink + 1;
  const Rows rows = random_rows(n, true, 1, 9);
  Rows prefix(m * m);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < m; ++j) prefix[i * m + j] = rows[i * n + j];
  AnalysisOptions options;
  options.sink = sink;
  const LayerFlow cut = analyse(attention_of(rows, 1, n, true), options).flow[0];
  const Flow whole = flow_of(prefix, m, true);
  EXPECT_EQ(cut.tokens, m);
  EXPECT_EQ(cut.sink, sink);
  EXPECT_DOUBLE_EQ(*cut.heads[0].hitting_mean, *whole.hitting_mean);
  EXPECT_DOUBLE_EQ(*cut.heads[0].mixing_published, *whole.mixing_published);
  EXPECT_DOUBLE_EQ(*cut.heads[0].fidelity, *whole.fidelity);
}

TEST(Flow, TheFourNodeExampleHelpsItself) {
  // u -> v -> w -> t, and u -> w, v -> w, v -> t, w -> t; self-edges; equal shares of what is read.
  const Rows path = {1, 0, 0, 0, .5, .5, 0, 0, 0, .5, .5, 0, 0, 0, .5, .5};
  const Rows shortcuts = {1,      0,      0,      0, 0, 1,      0,      0,
                          1. / 3, 1. / 3, 1. / 3, 0, 0, 1. / 3, 1. / 3, 1. / 3};
  const Rows both = stack({path, shortcuts});
  const LayerFlow flow = analyse(attention_of(both, 2, 4, true)).flow[0];
  EXPECT_NEAR(*flow.heads[0].fidelity, 3.0 / 8, 1e-12);
  EXPECT_NEAR(*flow.heads[1].fidelity, 1.0 / 4, 1e-12);
  EXPECT_NEAR(*flow.combined_uniform.flow.fidelity, 5.0 / 12, 1e-12);
  EXPECT_TRUE(*flow.combined_uniform.synergy_fidelity);
}

TEST(Flow, PermutedRowsKeepTheirWeights) {
  const RandomHeads made = random_heads(2, 2, 24, 4, true, 11);
  AnalysisOptions permuted;
  permuted.permute_keys = true;
  permuted.seed = 3;
  const Analysis a = analyse(made.attention), b = analyse(made.attention, permuted);
  EXPECT_NEAR(*a.structure[0].entropy_nats, *b.structure[0].entropy_nats, 1e-12);
  EXPECT_NEAR(*a.structure[0].confidence, *b.structure[0].confidence, 1e-12);
  EXPECT_NE(*a.flow[0].heads[0].hitting_mean, *b.flow[0].heads[0].hitting_mean);
  EXPECT_EQ(*b.flow[0].heads[0].hitting_mean,
            *analyse(made.attention, permuted).flow[0].heads[0].hitting_mean);
}

TEST(Flow, SpreadsSayWhereTheyAreInfinite) {
  const Spread finite = spread_of({1, 2, 3, 4});
  EXPECT_EQ(*finite.mean, 2.5);
  EXPECT_NEAR(*finite.standard_deviation, std::sqrt(1.25), 1e-12);
  EXPECT_EQ(*finite.median, 2.5);
  const Spread infinite = spread_of({1, kInfinity, 3});
  EXPECT_FALSE(infinite.mean);
  EXPECT_EQ(*infinite.median, 3);
  EXPECT_EQ(infinite.infinite, 1);
}

}  // namespace
}  // namespace headlight::heads
