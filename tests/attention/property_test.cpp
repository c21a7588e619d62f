// Random shapes, layouts and options, every instruction set, float and double, against the oracle.
#include "random_case.h"

namespace headlight::attention {
namespace {

// Sums of up to a few hundred products of normal numbers: rounding errors grow like the root of
// their number, and softcap, bias and a scale above 1 put their own error into the exponent.
constexpr double kFloatTolerance = 5e-5;
constexpr double kDoubleTolerance = 2e-13;

std::string describe(uint64_t seed, const Case& c, const KernelTable& table) {
  const AttentionShape& s = c.shape;
  std::string text = std::string(table.name) + ", case " + std::to_string(seed) + ":";
  for (int64_t x : {s.batch, s.heads, s.kv_heads, s.queries, s.keys, s.head_dim, s.value_dim}) {
    text += " " + std::to_string(x);
  }
  return text;
}

// Seeds 1 to count, in turn in all layouts and on one or two threads.
void agrees_with_the_definition(Case (*case_of)(uint64_t), uint64_t count) {
  for (uint64_t seed = 1; seed <= count; ++seed) {
    const Case c = case_of(seed);
    const Results expected = oracle(c);
    RunOptions how;
    how.layout = static_cast<Layout>(seed % 3);
    how.parallel.threads = seed % 5 == 0 ? 2 : 1;
    for (const KernelTable* table : tables_under_test()) {
      SCOPED_TRACE(describe(seed, c, *table));
      expect_near(run_case<float>(*table, c, how), expected, kFloatTolerance);
      expect_near(run_case<double>(*table, c, how), expected, kDoubleTolerance);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Attention, AgreesWithTheDefinitionOnRandomShapesLayoutsAndOptions) {
  agrees_with_the_definition(random_case, 300);
}

TEST(Attention, AgreesWithTheDefinitionOnNarrowHeads) {
  agrees_with_the_definition(random_narrow_case, 150);
}

}  // namespace
}  // namespace headlight::attention
