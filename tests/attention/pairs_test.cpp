// Products of pairs of BFloat16: the sum they make, and attention made of them. What holds for all
// data types, such as statistics and packed sequences, is tested beside the others.
#include "attention/cpu/pairs.inl"

#include <bit>

#include "random_case.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace headlight::attention {
namespace {

// A rounded weight is off by at most this, relatively; and so is a rounded result.
constexpr double kUnit = 0x1p-8;

using Four = Simd<float, 4, 1>;

float sum_of(float sum, Pair a, Pair b) {
  const Four::WordVec words = Four::all_words(uint32_t(a.second.bits) << 16 | a.first.bits);
  return multiply_add<Four>(words, b, Four::all(sum))[0];
}

Pair pair(double first, double second) {
  return {to_element<BFloat16>(first), to_element<BFloat16>(second)};
}

TEST(PairsOfBFloat16, AddTheSecondProductFirstAndRoundTwice) {
  EXPECT_EQ(sum_of(1, pair(2, 3), pair(5, 7)), 32);
  // Each of the products alone is lost beside 2^24, both together would not be.
  EXPECT_EQ(sum_of(0x1p24F, pair(1, 1), pair(1, 1)), 0x1p24F);
  EXPECT_EQ(sum_of(0x1p24F, pair(1, -0x1p24), pair(1, 1)), 1);
  EXPECT_EQ(sum_of(0x1p24F, pair(-0x1p24, 1), pair(1, 1)), 0);
  // The product itself is not rounded.
  EXPECT_EQ(sum_of(-1, pair(0, 1.0078125), pair(0, 1.0078125)), 0.015625F + 0x1p-14F);
}

TEST(PairsOfBFloat16, CountWhatIsBelowTheNormalNumbersAsZero) {
  EXPECT_EQ(sum_of(0, pair(0, 0x1p-127), pair(0, 0x1p100)), 0);
  EXPECT_EQ(sum_of(0, pair(0x1p-127, 0), pair(0x1p100, 0)), 0);
  EXPECT_EQ(sum_of(0x1p-130F, pair(0, 0), pair(0, 0)), 0);
  EXPECT_EQ(sum_of(0, pair(0, 0x1p-64), pair(0, 0x1p-64)), 0);
  EXPECT_EQ(sum_of(0, pair(0, 0x1p-63), pair(0, 0x1p-63)), 0x1p-126F);
}

TEST(PairsOfBFloat16, KeepNaNAndInfinity) {
  EXPECT_TRUE(std::isnan(sum_of(1, pair(kNaN, 1), pair(0, 1))));
  EXPECT_TRUE(std::isnan(sum_of(1, pair(1, kInf), pair(1, 0))));
  EXPECT_EQ(sum_of(1, pair(1, kInf), pair(1, 1)), kInf);
  EXPECT_EQ(sum_of(1, pair(1, 1), pair(1, -kInf)), -kInf);
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vl,avx512bf16"))) void machine_sums(const float* sums,
                                                                         const Pair* a,
                                                                         const Pair* b, float* to) {
  const __m128 sum = _mm_dpbf16_ps(
      _mm_loadu_ps(sums),
      reinterpret_cast<__m128bh>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a))),
      reinterpret_cast<__m128bh>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b))));
  _mm_storeu_ps(to, sum);
}

TEST(PairsOfBFloat16, AreMultipliedAsTheMachineDoesIt) {
  if (!__builtin_cpu_supports("avx512bf16")) GTEST_SKIP() << "not on this machine";
  std::mt19937_64 random(1);
  for (int n = 0; n < 200000; ++n) {
    float sums[4], got[4];
    Pair a[4], b[4];
    for (int i = 0; i < 4; ++i) {
      const auto number = [&] {
        const auto bits = static_cast<uint16_t>(random());
        // Half of all cases near 1, the others anywhere.
        return BFloat16{n % 2 == 0 ? bits : uint16_t((bits & 0x83ff) | 0x3c00)};
      };
      sums[i] = std::bit_cast<float>(uint32_t(number().bits) << 16 | uint32_t(random() & 0xffff));
      a[i] = {number(), number()};
      b[i] = {number(), number()};
    }
    machine_sums(sums, a, b, got);
    for (int i = 0; i < 4; ++i) {
      const float expected = sum_of(sums[i], a[i], b[i]);
      ASSERT_TRUE(got[i] == expected || (std::isnan(got[i]) && std::isnan(expected)))
          << got[i] << " for " << expected;
    }
  }
}
#endif

// The definition with the sizes of the values: what a relative error of each weight can do to out.
std::vector<double> sizes_of_out(Case c) {
  for (double& x : c.v) x = std::abs(x);
  return oracle(c).out;
}

// out and lse of a case whose tensors hold BFloat16. Rounding of weights: a unit of every weighted
// value. Rounding of out: half a unit in its last place. Besides what float loses.
void expect_within_rounding(const Results& got, const Results& expected,
                            const std::vector<double>& sizes) {
  for (std::size_t n = 0; n < expected.out.size(); ++n) {
    const double right = expected.out[n];
    const double bound = kUnit * (sizes[n] + 1.01 * std::abs(right)) + 5e-5 * (1 + std::abs(right));
    const bool same = std::isfinite(right)
                          ? std::abs(got.out[n] - right) <= bound
                          : got.out[n] == right || (std::isnan(right) && std::isnan(got.out[n]));
    ASSERT_TRUE(same) << "out[" << n << "] is " << got.out[n] << ", expected " << right
                      << " within " << bound;
  }
  expect_near(got.lse, expected.lse, 5e-5, "lse");
}

std::vector<const KernelTable*> tables_of_pairs() {
  std::vector<const KernelTable*> tables;
  for (const KernelTable* table : tables_under_test()) {
    if (multiplies_pairs(*table)) tables.push_back(table);
  }
  return tables;
}

TEST(AttentionOfPairs, AgreesWithTheDefinitionOnRandomShapesLayoutsAndOptions) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Case c = seed % 4 == 0 ? random_narrow_case(seed) : random_case(seed);
    round_inputs<BFloat16>(c);
    const std::vector<double> sizes = sizes_of_out(c);
    RunOptions how;
    how.layout = static_cast<Layout>(seed % 3);
    how.parallel.threads = seed % 5 == 0 ? 2 : 1;
    for (const KernelTable* table : tables_of_pairs()) {
      SCOPED_TRACE(std::string(table->name) + ", case " + std::to_string(seed));
      const Results got = run_case<BFloat16>(*table, c, how);
      const Results expected = oracle(c, got.out);
      expect_within_rounding(got, expected, sizes);
      expect_near(got.grad_v, expected.grad_v, 1.01 * kUnit + 5e-4, "grad_v");
      expect_near(got.grad_q, expected.grad_q, 1.01 * kUnit + 5e-4, "grad_q");
      expect_near(got.grad_k, expected.grad_k, 1.01 * kUnit + 5e-4, "grad_k");
      expect_near(got.grad_bias, expected.grad_bias, 5e-4, "grad_bias");
      expect_near(got.grad_sinks, expected.grad_sinks, 5e-4, "grad_sinks");
      if (HasFatalFailure()) return;
    }
  }
}

TEST(AttentionOfPairs, ShowsNaNAndInfinityWhereTheyAreSeenAndNowhereElse) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Case c = random_case(seed);
    round_inputs<BFloat16>(c);
    const std::vector<double> sizes = sizes_of_out(c);
    Draw draw(seed);
    const double poison = std::vector{kNaN, kInf, -kInf}[seed % 3];
    for (int64_t n = draw.from(1, 3); n > 0; --n) {
      c.v[draw.from(0, static_cast<int64_t>(c.v.size()) - 1)] = poison;
    }
    // An infinite key may be a mask or not, by the sign of a query.
    if (draw.chance(30)) c.k[draw.from(0, static_cast<int64_t>(c.k.size()) - 1)] = kNaN;
    const Results expected = oracle(c);
    RunOptions how;
    how.layout = static_cast<Layout>(seed % 3);
    how.backward = false;
    for (const KernelTable* table : tables_under_test()) {
      SCOPED_TRACE(std::string(table->name) + ", case " + std::to_string(seed));
      expect_within_rounding(run_case<BFloat16>(*table, c, how), expected, sizes);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(AttentionOfPairs, IsTheSameToTheBitForAnyNumberOfThreads) {
  Case c = plain_case({1, 4, 2, 700, 901, 33, 17}, 1);
  c.numbers.causal = Causal::bottom_right;
  c.numbers.window_left = 333;
  for (const KernelTable* table : tables_of_pairs()) {
    RunOptions how;
    how.backward = false;
    const Results one = run_case<BFloat16>(*table, c, how);
    for (int threads : {2, 3, 7}) {
      how.parallel.threads = threads;
      const Results more = run_case<BFloat16>(*table, c, how);
      EXPECT_EQ(more.out, one.out) << threads;
      EXPECT_EQ(more.lse, one.lse) << threads;
    }
  }
}

TEST(AttentionOfPairs, MultipliesTheScaleToTheScoresAndNotToQueries) {
  // A query times this scale would be rounded to BFloat16; scores are sums of exact products.
  Case c = plain_case({1, 1, 1, 40, 60, 64, 8}, 1);
  round_inputs<BFloat16>(c);
  c.numbers.scale = 1.00390625 / 8;
  const Results expected = oracle(c);
  RunOptions how;
  how.backward = false;
  for (const KernelTable* table : tables_of_pairs()) {
    expect_near(run_case<BFloat16>(*table, c, how).lse, expected.lse, 1e-6, "lse");
  }
}

}  // namespace
}  // namespace headlight::attention
