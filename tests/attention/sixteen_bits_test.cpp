// Tensors of 16 bits: every number goes in and comes out, results are rounded once and rightly, and
// all options work as they do in float.
#include <bit>

#include "random_case.h"

namespace headlight::attention {
namespace {

template <typename E>
class AttentionOfSixteenBits : public testing::Test {};

using Types = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(AttentionOfSixteenBits, Types);

// Attention to equal keys: the mean of the values. values [keys, dim].
template <typename E>
std::vector<E> mean_of_values(const KernelTable& table, std::vector<E> values, int64_t keys,
                              int64_t dim) {
  const std::vector<E> zeros(keys * 8);
  std::vector<E> out(dim);
  AttentionForward<E> call;
  call.shape = {1, 1, 1, 1, keys, 8, dim};
  call.q = {zeros.data(), 8, 8, 8};
  call.k = {zeros.data(), keys * 8, keys * 8, 8};
  call.v = {values.data(), keys * dim, keys * dim, dim};
  call.out = {out.data(), dim, dim, dim};
  run_forward(table, call, {}, {nullptr, nullptr, 1});
  return out;
}

TYPED_TEST(AttentionOfSixteenBits, BringsEveryNumberBackUnchanged) {
  std::vector<TypeParam> all(65536);
  for (int n = 0; n < 65536; ++n) all[n].bits = static_cast<uint16_t>(n);
  for (const KernelTable* table : tables_under_test()) {
    const std::vector<TypeParam> out = mean_of_values(*table, all, 1, 65536);
    for (int n = 0; n < 65536; ++n) {
      const double expected = to_double(all[n]);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(to_double(out[n]))) << table->name << " " << n;
      } else if (std::bit_cast<uint32_t>(static_cast<float>(expected)) % 0x80000000u >=
                 0x00800000u) {
        ASSERT_EQ(out[n].bits, all[n].bits) << table->name << " " << n;
      } else {  // zero, or subnormal even in float
        const bool flushed = multiplies_pairs(*table) && to_double(out[n]) == 0;
        ASSERT_TRUE(flushed || to_double(out[n]) == expected) << table->name << " " << n;
      }
    }
  }
}

TYPED_TEST(AttentionOfSixteenBits, RoundsToTheNearestAndTiesToEven) {
  // The mean of a number and its neighbour is a tie.
  std::vector<TypeParam> values(2 * 65536);
  for (int n = 0; n < 65536; ++n) {
    values[n].bits = static_cast<uint16_t>(n);
    values[65536 + n].bits = static_cast<uint16_t>((n & 0x8000) | ((n + 1) & 0x7fff));
  }
  for (const KernelTable* table : tables_under_test()) {
    const std::vector<TypeParam> out = mean_of_values(*table, values, 2, 65536);
    for (int n = 0; n < 65536; ++n) {
      const double a = to_double(values[n]);
      const double b = to_double(values[65536 + n]);
      // Sums that overflow or lose bits in float are not ties any more.
      if (!std::isfinite(a) || !std::isfinite(b) || std::abs(a) > 1e38 || std::abs(a) < 1e-36) {
        continue;
      }
      ASSERT_EQ(to_double(out[n]), rounded<TypeParam>((a + b) / 2)) << table->name << " " << n;
    }
  }
}

TYPED_TEST(AttentionOfSixteenBits, AgreesWithTheDefinitionOnRandomShapesLayoutsAndOptions) {
  // Half a unit in the last place of the result, and what float itself loses. Where `out` is close
  // to a tie, gradients may have read its other neighbour.
  const double unit = std::ldexp(1.0, -kFormat<TypeParam>.mantissa - 1);
  for (uint64_t seed = 1; seed <= 160; ++seed) {
    Case c = seed % 4 == 0 ? random_narrow_case(seed) : random_case(seed);
    round_inputs<TypeParam>(c);
    std::vector<double> stored = oracle(c).out;
    for (double& x : stored) x = rounded<TypeParam>(x);
    const Results expected = oracle(c, stored);
    RunOptions how;
    how.layout = static_cast<Layout>(seed % 3);
    how.parallel.threads = seed % 5 == 0 ? 2 : 1;
    for (const KernelTable* table : tables_under_test()) {
      if (multiplies_pairs(*table)) continue;  // pairs_test.cpp
      SCOPED_TRACE(std::string(table->name) + ", case " + std::to_string(seed));
      const Results got = run_case<TypeParam>(*table, c, how);
      expect_near(got.out, expected.out, 1.01 * unit + 5e-5, "out");
      expect_near(got.lse, expected.lse, 5e-5, "lse");
      expect_near(got.grad_v, expected.grad_v, 1.01 * unit + 5e-5, "grad_v");
      expect_near(got.grad_q, expected.grad_q, 8 * unit, "grad_q");
      expect_near(got.grad_k, expected.grad_k, 8 * unit, "grad_k");
      expect_near(got.grad_bias, expected.grad_bias, 8 * unit, "grad_bias");
      expect_near(got.grad_sinks, expected.grad_sinks, 8 * unit, "grad_sinks");
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace headlight::attention
