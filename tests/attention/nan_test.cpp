// What a query may not attend to has no influence on it, not even as NaN; what it may is visible.
#include <algorithm>
#include <functional>

#include "run_case.h"

namespace headlight::attention {
namespace {

bool has_nan(const std::vector<double>& x, int64_t first, int64_t count) {
  for (int64_t n = first; n < first + count; ++n) {
    if (std::isnan(x[n])) return true;
  }
  return false;
}

// 20 queries, 20 keys, 5 + 3 numbers each; query i may attend to keys up to i + 2, never key 7.
Case masked_case() {
  Case c = plain_case({1, 1, 1, 20, 20, 5, 3}, 1);
  c.numbers.causal = Causal::offset;
  c.numbers.causal_offset = 2;
  c.allowed.values.assign(400, 1);
  for (int64_t i = 0; i < 20; ++i) c.allowed.values[i * 20 + 7] = 0;
  return c;
}

void on_every_kernel(const Case& c, const std::function<void(const Results&)>& look) {
  for (const KernelTable* table : tables_under_test()) {
    SCOPED_TRACE(table->name);
    look(run_case<float>(*table, c));
    look(run_case<double>(*table, c));
  }
}

TEST(AttentionNaN, AFullyMaskedRowGivesZeros) {
  Case c = plain_case({2, 2, 2, 20, 20, 5, 3}, 2);
  c.allowed.over_batch = c.allowed.over_heads = false;
  c.allowed.values.assign(400, 1);
  for (int64_t j = 0; j < 20; ++j) c.allowed.values[3 * 20 + j] = 0;
  c.key_lengths = {20, 0};
  const Results expected = oracle(c);
  on_every_kernel(c, [&](const Results& r) {
    expect_near(r, expected, 5e-5);
    for (int64_t e = 0; e < 3; ++e) EXPECT_EQ(r.out[3 * 3 + e], 0);
    for (int64_t d = 0; d < 5; ++d) EXPECT_EQ(r.grad_q[3 * 5 + d], 0);
    EXPECT_EQ(r.lse[3], -kInf);
    EXPECT_EQ(r.lse[40], -kInf);  // the second sequence has no keys
  });
}

TEST(AttentionNaN, AFullyMaskedRowWithASinkGivesZerosAndTheSink) {
  Case c = plain_case({1, 1, 1, 3, 4, 5, 3}, 3);
  c.key_lengths = {0};
  c.sinks = {0.75};
  on_every_kernel(c, [&](const Results& r) {
    for (double x : r.out) EXPECT_EQ(x, 0);
    for (double x : r.lse) EXPECT_EQ(x, 0.75);
    EXPECT_EQ(r.grad_sinks[0], 0);
  });
}

TEST(AttentionNaN, InAMaskedKeyOrValueDoesNotLeak) {
  const Results clean = oracle(masked_case());
  for (double poison : {kNaN, kInf, -kInf}) {
    Case c = masked_case();
    for (int64_t d = 0; d < 5; ++d) c.k[7 * 5 + d] = poison;
    for (int64_t e = 0; e < 3; ++e) c.v[7 * 3 + e] = poison;
    on_every_kernel(c, [&](const Results& r) {
      expect_near(r.out, clean.out, 5e-5, "out");
      expect_near(r.lse, clean.lse, 5e-5, "lse");
      expect_near(r.grad_q, clean.grad_q, 5e-5, "grad_q");
      expect_near(r.grad_k, clean.grad_k, 5e-5, "grad_k");
      expect_near(r.grad_v, clean.grad_v, 5e-5, "grad_v");
    });
  }
}

TEST(AttentionNaN, BehindTheKeyLengthIsNeverRead) {
  Case c = plain_case({2, 2, 1, 20, 20, 5, 3}, 4);
  c.key_lengths = {20, 6};
  const Results clean = oracle(c);
  for (int64_t j = 6; j < 20; ++j) {
    for (int64_t d = 0; d < 5; ++d) c.k[(20 + j) * 5 + d] = kNaN;
    for (int64_t e = 0; e < 3; ++e) c.v[(20 + j) * 3 + e] = kNaN;
  }
  on_every_kernel(c, [&](const Results& r) { expect_near(r, clean, 5e-5); });
}

TEST(AttentionNaN, UnderAnAdditiveMaskOfMinusInfinityDoesNotLeak) {
  Case c = masked_case();
  c.allowed.values.clear();
  c.mask.over_queries = false;
  c.mask.values.assign(20, 0);
  c.mask.values[7] = -kInf;
  const Results clean = oracle(c);
  for (int64_t d = 0; d < 5; ++d) c.k[7 * 5 + d] = kNaN;
  for (int64_t e = 0; e < 3; ++e) c.v[7 * 3 + e] = kNaN;
  on_every_kernel(c, [&](const Results& r) { expect_near(r, clean, 5e-5); });
}

TEST(AttentionNaN, InAKeyShowsExactlyWhereItIsAttendedTo) {
  Case c = masked_case();
  c.k[10 * 5 + 1] = kNaN;  // queries 8 and later see key 10
  on_every_kernel(c, [&](const Results& r) {
    for (int64_t i = 0; i < 20; ++i) {
      EXPECT_EQ(has_nan(r.out, i * 3, 3), i >= 8) << i;
      EXPECT_EQ(std::isnan(r.lse[i]), i >= 8) << i;
      EXPECT_EQ(has_nan(r.grad_q, i * 5, 5), i >= 8) << i;
    }
    // Keys that only clean queries see do not exist here, but key 7 is seen by nobody.
    EXPECT_FALSE(has_nan(r.grad_k, 7 * 5, 5));
    EXPECT_FALSE(has_nan(r.grad_v, 7 * 3, 3));
  });
}

TEST(AttentionNaN, InAValueShowsExactlyWhereItIsAttendedTo) {
  Case c = masked_case();
  c.v[10 * 3 + 1] = kNaN;
  on_every_kernel(c, [&](const Results& r) {
    for (int64_t i = 0; i < 20; ++i) {
      EXPECT_EQ(std::isnan(r.out[i * 3 + 1]), i >= 8) << i;
      EXPECT_FALSE(std::isnan(r.out[i * 3])) << i;
    }
  });
}

TEST(AttentionNaN, InAQueryReachesOnlyTheKeysItSees) {
  Case c = masked_case();
  c.q[4 * 5 + 2] = kNaN;  // query 4 sees keys 0 to 6
  on_every_kernel(c, [&](const Results& r) {
    for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(has_nan(r.out, i * 3, 3), i == 4) << i;
    for (int64_t j = 0; j < 20; ++j) {
      EXPECT_EQ(has_nan(r.grad_k, j * 5, 5), j <= 6) << j;
      EXPECT_EQ(has_nan(r.grad_v, j * 3, 3), j <= 6) << j;
    }
  });
}

TEST(AttentionNaN, OfNarrowHeadsReachesOnlyWhatSeesIt) {
  for (double poison : {kNaN, kInf, -kInf}) {
    Case c = plain_case({1, 2, 2, 40, 40, 3, 2}, 5);
    c.numbers.window_left = c.numbers.window_right = 2;
    c.v[30 * 2] = poison;  // of the first head; queries 28 to 32 see it, and they see keys 26 to 34
    on_every_kernel(c, [&](const Results& r) {
      const auto finite = [](const std::vector<double>& x, int64_t first, int64_t count) {
        return std::all_of(x.begin() + first, x.begin() + first + count,
                           [](double number) { return std::isfinite(number); });
      };
      for (int64_t i = 0; i < 80; ++i) {
        EXPECT_EQ(finite(r.out, i * 2, 2), i < 28 || i > 32) << i;
        EXPECT_EQ(finite(r.grad_q, i * 3, 3), i < 28 || i > 32) << i;
        EXPECT_EQ(finite(r.grad_k, i * 3, 3), i < 26 || i > 34) << i;
        EXPECT_TRUE(finite(r.grad_v, i * 2, 2)) << i;
      }
    });
  }
}

TEST(AttentionNaN, InAGradientOfAFullyMaskedRowDoesNotLeak) {
  Case c = masked_case();
  for (int64_t j = 0; j < 20; ++j) c.allowed.values[3 * 20 + j] = 0;
  const Results clean = oracle(c);
  c.grad_out[3 * 3 + 1] = kNaN;
  c.q[3 * 5] = kNaN;
  on_every_kernel(c, [&](const Results& r) { expect_near(r, clean, 5e-5); });
}

}  // namespace
}  // namespace headlight::attention
