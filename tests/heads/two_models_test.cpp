// Distances between the heads of two models, against plain double matrices.
#include "heads/two_models.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "headlight/error.h"
#include "heads/bootstrap.h"
#include "patterns.h"

namespace headlight::heads {
namespace {

using Eigen::MatrixXd;

// Attention probabilities and outputs of a head, by their definition; padding is left out.
struct Plain {
  MatrixXd weights, outputs;
};

Plain plain(const Attention& all, int64_t head, const std::vector<int64_t>& rows) {
  const QueriesAndKeys& qk = *all.queries_and_keys;
  const ValuesAndOutput& vo = *all.output;
  const auto n = static_cast<int64_t>(rows.size());
  const int64_t kv = head / (all.heads / qk.kv_heads);
  MatrixXd q(n, qk.head_dim), k(n, qk.head_dim), v(n, vo.value_dim), w(vo.value_dim, vo.width);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < qk.head_dim; ++c) {
      q(i, c) = qk.q.data[head * qk.q.head_stride + rows[i] * qk.q.row_stride + c];
      k(i, c) = qk.k.data[kv * qk.k.head_stride + rows[i] * qk.k.row_stride + c];
      v(i, c) = vo.v.data[kv * vo.v.head_stride + rows[i] * vo.v.row_stride + c];
    }
  for (int64_t r = 0; r < vo.value_dim; ++r)
    for (int64_t c = 0; c < vo.width; ++c)
      w(r, c) = vo.w_o[head * vo.head_stride + r * vo.row_stride + c];
  MatrixXd p = (q * k.transpose() / std::sqrt(double(qk.head_dim))).array().exp();
  if (all.visibility.causal) p = p.triangularView<Eigen::Lower>().toDenseMatrix();
  for (int64_t i = 0; i < n; ++i) p.row(i) /= p.row(i).sum();
  return {p, p * v * w};
}

// The Gram matrix of rows, centred without bias (Szekely & Rizzo 2014).
MatrixXd centred(const MatrixXd& outputs) {
  MatrixXd k = outputs * outputs.transpose();
  k.diagonal().setZero();
  const double n = double(k.rows());
  const Eigen::VectorXd sums = k.rowwise().sum();
  const double all = sums.sum();
  MatrixXd c = k;
  for (int64_t i = 0; i < k.rows(); ++i)
    for (int64_t j = 0; j < k.cols(); ++j)
      c(i, j) =
          i == j ? 0 : k(i, j) - sums[i] / (n - 2) - sums[j] / (n - 2) + all / ((n - 1) * (n - 2));
  return c;
}

double hsic(const MatrixXd& a, const MatrixXd& b) {
  const double n = double(a.rows());
  return centred(a).cwiseProduct(centred(b)).sum() / (n * (n - 3));
}

void expect_plain(const Attention& a, const Attention& b, const std::vector<int64_t>& rows,
                  int threads) {
  const TwoModels found = compare(a, b, threads);
  EXPECT_EQ(found.rows, int64_t(rows.size()));
  for (int64_t h = 0; h < a.heads; ++h) {
    const Plain one = plain(a, h, rows);
    EXPECT_NEAR(found.energy_a[h] / one.outputs.squaredNorm(), 1, 1e-5);
    EXPECT_NEAR(found.own_hsic_a[h] / hsic(one.outputs, one.outputs), 1, 1e-4);
    for (int64_t g = 0; g < b.heads; ++g) {
      const Plain two = plain(b, g, rows);
      const double apart = (one.weights.cwiseSqrt() - two.weights.cwiseSqrt()).squaredNorm() / 2;
      EXPECT_NEAR(found.squared_hellinger[h][g], apart, 1e-4 * double(rows.size()));
      const double scale =
          std::sqrt(hsic(one.outputs, one.outputs) * hsic(two.outputs, two.outputs));
      EXPECT_NEAR(found.hsic[h][g] / scale, hsic(one.outputs, two.outputs) / scale, 1e-4);
    }
  }
}

std::vector<int64_t> first(int64_t n) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < n; ++i) rows.push_back(i);
  return rows;
}

TEST(TwoModels, DistancesAreThoseOfTheWholeMatrices) {
  for (const bool causal : {true, false}) {
    const RandomHeads a = random_heads(4, 2, 13, 8, causal, 1);
    const RandomHeads b = random_heads(3, 3, 13, 4, causal, 2);  // of another width, too
    expect_plain(a.attention, b.attention, first(13), 1);
  }
}

TEST(TwoModels, ManyRowsAreCollectedInPieces) {
  const RandomHeads a = random_heads(2, 1, 150, 4, true, 3);
  const RandomHeads b = random_heads(2, 2, 150, 4, true, 4);
  expect_plain(a.attention, b.attention, first(150), 2);
}

TEST(TwoModels, PaddingCountsNowhere) {
  RandomHeads a = random_heads(2, 2, 11, 4, false, 5), b = random_heads(2, 2, 11, 4, false, 6);
  std::vector<uint8_t> real(11, 1);
  real[0] = real[7] = real[10] = 0;
  for (Attention* attention : {&a.attention, &b.attention})
    attention->visibility.query_valid = attention->visibility.key_valid = real;
  expect_plain(a.attention, b.attention, {1, 2, 3, 4, 5, 6, 8, 9}, 1);
}

TEST(TwoModels, AHeadIsNotApartFromItself) {
  const RandomHeads a = random_heads(4, 4, 40, 8, true, 7);
  const TwoModels found = compare(a.attention, a.attention);
  for (int64_t h = 0; h < 4; ++h) {
    EXPECT_LT(found.squared_hellinger[h][h] / 40, 1e-14);
    EXPECT_NEAR(found.hsic[h][h] / found.own_hsic_a[h], 1, 1e-12);
    EXPECT_GT(found.squared_hellinger[h][(h + 1) % 4] / 40, 1e-3);
  }
}

TEST(TwoModels, OutputsThatNeverChangeHaveNoVariation) {
  RandomHeads a = random_heads(2, 2, 12, 4, true, 8);
  std::fill(a.v.begin(), a.v.begin() + 12 * 4, 3.0F);  // the first head's values are all the same
  const TwoModels found = compare(a.attention, a.attention);
  EXPECT_LT(found.own_hsic_a[0], 1e-20 * std::pow(found.energy_a[0] / 12, 2));
  EXPECT_GT(found.own_hsic_a[1], 1e-3 * std::pow(found.energy_a[1] / 12, 2));
}

TEST(TwoModels, AShiftOfOutputsChangesNothing) {
  RandomHeads a = random_heads(2, 2, 30, 4, true, 9);
  const RandomHeads b = random_heads(2, 2, 30, 4, true, 10);
  const TwoModels before = compare(a.attention, b.attention);
  for (float& value : a.v) value += 512;  // rows sum to 1: every output moves by the same
  const TwoModels after = compare(a.attention, b.attention);
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t g = 0; g < 2; ++g)
      EXPECT_NEAR(after.hsic[h][g] / std::sqrt(before.own_hsic_a[h] * before.own_hsic_b[g]),
                  before.hsic[h][g] / std::sqrt(before.own_hsic_a[h] * before.own_hsic_b[g]), 1e-3);
}

TEST(TwoModels, ABrokenHeadIsNamedAndHurtsNoOther) {
  RandomHeads a = random_heads(3, 3, 9, 4, true, 11);
  const RandomHeads b = random_heads(3, 3, 9, 4, true, 12);
  const TwoModels whole = compare(a.attention, b.attention);
  a.q[9 * 4 + 5] = NAN;
  const TwoModels found = compare(a.attention, b.attention);
  EXPECT_EQ(found.bad_a, (std::vector<bool>{false, true, false}));
  EXPECT_EQ(found.bad_b, (std::vector<bool>{false, false, false}));
  for (const int64_t h : {0, 2})
    for (int64_t g = 0; g < 3; ++g) {
      EXPECT_NEAR(found.squared_hellinger[h][g], whole.squared_hellinger[h][g], 1e-12);
      EXPECT_NEAR(found.hsic[h][g], whole.hsic[h][g], 1e-9);
    }
}

TEST(TwoModels, OtherTokensAreRefused) {
  const RandomHeads a = random_heads(2, 2, 9, 4, true, 1), b = random_heads(2, 2, 10, 4, true, 2);
  EXPECT_THROW(compare(a.attention, b.attention), Error);
  Attention without = a.attention;
  without.output.reset();
  EXPECT_THROW(compare(without, a.attention), Error);
}

TEST(Bootstrap, ARatioOfSumsHasTheIntervalOfItsItems) {
  // One term alone with a count of one is the mean: the same draws give the same interval.
  std::vector<double> values;
  std::vector<std::vector<double>> items;
  SplitMix64 random(5);
  for (int i = 0; i < 20; ++i) {
    values.push_back(normal(random));
    items.push_back({values.back(), 1, 0});
  }
  const Interval mean = paired_bootstrap(values, 500, 9);
  const auto both = sums_bootstrap(
      items,
      [](const std::vector<double>& sums) {
        return std::vector<double>{sums[0] / sums[1], sums[2]};
      },
      500, 9);
  ASSERT_EQ(both.size(), 2);
  EXPECT_NEAR(both[0].mean, mean.mean, 1e-12);
  EXPECT_NEAR(both[0].low, mean.low, 1e-12);
  EXPECT_NEAR(both[0].high, mean.high, 1e-12);
  EXPECT_EQ(both[1].low, 0);
  EXPECT_EQ(both[1].high, 0);
  EXPECT_THROW(sums_bootstrap(
                   {}, [](const auto& sums) { return sums; }, 10, 0),
               Error);
}

}  // namespace
}  // namespace headlight::heads
