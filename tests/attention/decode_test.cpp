// Few queries against many keys: the cache is cut into chunks, whatever the number of threads.
#include "random_case.h"

namespace headlight::attention {
namespace {

Case long_cache(int64_t queries) {
  Case c = plain_case({2, 6, 2, queries, 3000, 64, 32}, 3);
  c.numbers.causal = Causal::bottom_right;
  c.key_lengths = {3000, 1777};
  return c;
}

TEST(Decoding, AgreesWithTheDefinitionOnALongCache) {
  for (int64_t queries : {1, 2, 5, 8}) {
    const Case c = long_cache(queries);
    const Results expected = oracle(c);
    for (const KernelTable* table : tables_under_test()) {
      SCOPED_TRACE(table->name);
      RunOptions how;
      how.backward = false;
      const Results one = run_case<float>(*table, c, how);
      expect_near(one.out, expected.out, 1e-5, "out");
      expect_near(one.lse, expected.lse, 1e-5, "lse");
      how.parallel.threads = 3;
      const Results three = run_case<float>(*table, c, how);
      EXPECT_EQ(one.out, three.out);
      EXPECT_EQ(one.lse, three.lse);
      expect_near(run_case<double>(*table, c, how).out, expected.out, 1e-12, "out");
    }
  }
}

TEST(Decoding, DoesNotSeeWhatIsMasked) {
  Case c = long_cache(2);
  // Beyond the length of the second sequence; and the last key, which only the last query sees.
  for (int64_t g = 0; g < 2; ++g) {
    for (int64_t j = 1777; j < 3000; ++j) c.v[((1 * 2 + g) * 3000 + j) * 32] = kNaN;
    c.v[((0 * 2 + g) * 3000 + 2999) * 32 + 1] = kNaN;
  }
  for (const KernelTable* table : tables_under_test()) {
    RunOptions how;
    how.backward = false;
    const Results r = run_case<float>(*table, c, how);
    for (int64_t row = 0; row < 2 * 6 * 2; ++row) {
      const bool sees_the_last = row < 6 * 2 && row % 2 == 1;
      for (int64_t e = 0; e < 32; ++e) {
        EXPECT_EQ(std::isnan(r.out[row * 32 + e]), sees_the_last && e == 1)
            << table->name << ", row " << row << ", column " << e;
      }
    }
  }
}

TEST(Decoding, OfNothingIsZero) {
  Case c = plain_case({1, 4, 2, 1, 600, 32, 32}, 5);
  c.key_lengths = {0};
  for (const KernelTable* table : tables_under_test()) {
    RunOptions how;
    how.backward = false;
    const Results r = run_case<float>(*table, c, how);
    for (double x : r.out) EXPECT_EQ(x, 0);
    for (double x : r.lse) EXPECT_EQ(x, -std::numeric_limits<double>::infinity());
  }
}

}  // namespace
}  // namespace headlight::attention
