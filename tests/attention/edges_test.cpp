// Sizes around the edges of vectors, tiles and blocks, and numbers at the edges of what a float is.
#include "run_case.h"

namespace headlight::attention {
namespace {

constexpr double kLowest = -std::numeric_limits<float>::max();

void expect_both(const Case& c) {
  const Results expected = oracle(c);
  for (const KernelTable* table : tables_under_test()) {
    SCOPED_TRACE(table->name);
    expect_near(run_case<float>(*table, c), expected, 5e-5);
    expect_near(run_case<double>(*table, c), expected, 1e-12);
  }
}

TEST(AttentionEdges, TilesOfAnyNumberOfQueriesAreRight) {
  for (int64_t queries : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65}) {
    SCOPED_TRACE(queries);
    Case c = plain_case({1, 1, 1, queries, queries, 4, 4}, 1);
    expect_both(c);
    c.numbers.causal = Causal::top_left;
    expect_both(c);
  }
}

TEST(AttentionEdges, BlocksOfAnyNumberOfKeysAreRight) {
  for (int64_t keys : {1, 2, 5, 6, 7, 8, 11, 12, 13, 127, 128, 129, 255, 256, 257}) {
    SCOPED_TRACE(keys);
    Case c = plain_case({1, 1, 1, 18, keys, 3, 5}, 2);
    expect_both(c);
    c.numbers.causal = Causal::bottom_right;
    expect_both(c);
  }
}

TEST(AttentionEdges, HeadsOfAnySizeAreRight) {
  for (int64_t dim : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 33, 40, 64, 100, 257}) {
    SCOPED_TRACE(dim);
    expect_both(plain_case({1, 2, 1, 20, 20, dim, dim}, 3));
    expect_both(plain_case({1, 1, 1, 9, 20, dim, 3}, 4));
    expect_both(plain_case({1, 1, 1, 9, 20, 3, dim}, 5));
  }
}

TEST(AttentionEdges, LongSequencesOfFewHeadsAreSharedOutByKeys) {
  // Enough work that the backward pass cuts the keys into chunks.
  Case c = plain_case({1, 2, 1, 700, 900, 48, 40}, 6);
  c.numbers.causal = Causal::bottom_right;
  const Results expected = oracle(c);
  expect_near(
      run_case<float>(kernels_named(""), c, {Layout::head_interleaved, {nullptr, nullptr, 2}}),
      expected, 1e-4);
  expect_near(run_case<double>(kernels_named(""), c), expected, 1e-12);
}

TEST(AttentionEdges, NoKeysGiveZeros) {
  const Case c = plain_case({2, 2, 1, 5, 0, 4, 3}, 7);
  for (const KernelTable* table : tables_under_test()) {
    const Results r = run_case<float>(*table, c);
    expect_near(r.out, std::vector<double>(r.out.size(), 0), 0, "out");
    expect_near(r.lse, std::vector<double>(r.lse.size(), -kInf), 0, "lse");
    expect_near(r.grad_q, std::vector<double>(r.grad_q.size(), 0), 0, "grad_q");
  }
}

TEST(AttentionEdges, NoQueriesGiveZeroGradientsOfKeys) {
  const Case c = plain_case({2, 2, 1, 0, 5, 4, 3}, 8);
  const Results r = run_case<float>(kernels_named(""), c);
  expect_near(r.grad_k, std::vector<double>(r.grad_k.size(), 0), 0, "grad_k");
  expect_near(r.grad_v, std::vector<double>(r.grad_v.size(), 0), 0, "grad_v");
}

// One key far above all others takes everything, whatever the size of the scores; and the backward
// pass finds the same weights again from lse.
TEST(AttentionEdges, HugeScoresDoNotOverflow) {
  for (double size : {1e3, 1e10, 1e15}) {
    SCOPED_TRACE(size);
    Case c = plain_case({1, 1, 1, 17, 20, 4, 4}, 9);
    c.numbers.scale = 1;
    for (double& x : c.q) x = static_cast<float>(x * size);
    for (double& x : c.k) x = static_cast<float>(x * size);
    const Results expected = oracle(c);
    for (const KernelTable* table : tables_under_test()) {
      const Results r = run_case<float>(*table, c);
      expect_near(r.out, expected.out, 1e-6, "out");
      expect_near(r.lse, expected.lse, 1e-6, "lse");
      expect_near(r.grad_v, expected.grad_v, 1e-6, "grad_v");
    }
  }
}

TEST(AttentionEdges, TheLowestFloatAsAMaskIsANumberAndNotAMask) {
  Case c = plain_case({1, 1, 1, 9, 12, 4, 4}, 10);
  for (double& x : c.q) x *= 1e-3;
  c.mask.values.assign(c.mask.size(c.shape), kLowest);
  for (int64_t j = 0; j < 6; ++j) c.mask.values[j] = 0;  // the first query sees six keys
  const Results expected = oracle(c);
  for (const KernelTable* table : tables_under_test()) {
    const Results r = run_case<float>(*table, c);
    expect_near(r.out, expected.out, 1e-5, "out");
    // All others see everything, alike.
    for (int64_t e = 0; e < 4; ++e) {
      double mean = 0;
      for (int64_t j = 0; j < 12; ++j) mean += c.v[j * 4 + e] / 12;
      EXPECT_NEAR(r.out[4 + e], mean, 1e-5);
    }
  }
}

TEST(AttentionEdges, AScoreOfPlusInfinityGivesNaN) {
  Case c = plain_case({1, 1, 1, 3, 4, 2, 2}, 11);
  c.q[0] = kInf;
  c.k[0] = 1;
  for (const KernelTable* table : tables_under_test()) {
    const Results r =
        run_case<float>(*table, c, {Layout::head_major, {nullptr, nullptr, 1}, false});
    EXPECT_TRUE(std::isnan(r.out[0]));
    EXPECT_FALSE(std::isnan(r.out[2]));
  }
}

TEST(AttentionEdges, ASinkOfMinusInfinityIsNone) {
  Case c = plain_case({1, 2, 2, 9, 9, 4, 4}, 12);
  const Results expected = oracle(c);
  c.sinks = {-kInf, -kInf};
  for (const KernelTable* table : tables_under_test()) {
    const Results r = run_case<float>(*table, c);
    expect_near(r.out, expected.out, 5e-5, "out");
    expect_near(r.grad_sinks, {0, 0}, 0, "grad_sinks");
  }
}

}  // namespace
}  // namespace headlight::attention
