// Against every assignment there is.
#include "heads/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "headlight/error.h"
#include "headlight/splitmix64.h"

namespace headlight::heads {
namespace {

using Cost = std::vector<std::vector<double>>;

double total(const Cost& cost, const std::vector<int64_t>& column_of) {
  double sum = 0;
  for (size_t r = 0; r < cost.size(); ++r)
    if (column_of[r] >= 0) sum += cost[r][static_cast<size_t>(column_of[r])];
  return sum;
}

// The least total over all orders of the longer side.
double by_force(const Cost& cost) {
  const size_t rows = cost.size(), columns = cost[0].size();
  std::vector<size_t> order(std::max(rows, columns));
  std::iota(order.begin(), order.end(), size_t{0});
  double least = INFINITY;
  do {
    double sum = 0;
    for (size_t i = 0; i < std::min(rows, columns); ++i)
      sum += rows <= columns ? cost[i][order[i]] : cost[order[i]][i];
    least = std::min(least, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

Cost random_cost(size_t rows, size_t columns, int64_t values, SplitMix64& random) {
  Cost cost(rows, std::vector<double>(columns));
  for (auto& row : cost)
    for (double& value : row)
      value = values > 0 ? static_cast<double>(random.index(values)) : random.uniform() * 4 - 2;
  return cost;
}

TEST(Assignment, CostsNoMoreThanAnyOtherInEveryShape) {
  SplitMix64 random(3);
  for (size_t rows = 1; rows <= 6; ++rows)
    for (size_t columns = 1; columns <= 6; ++columns)
      // Few whole numbers make many ties; negative costs are costs too.
      for (const int64_t values : {0, 0, 0, 2, 3, 10}) {
        const Cost cost = random_cost(rows, columns, values, random);
        const std::vector<int64_t> found = assignment(cost);
        ASSERT_EQ(found.size(), rows);
        std::vector<int64_t> used;
        for (const int64_t column : found)
          if (column >= 0) used.push_back(column);
        ASSERT_EQ(used.size(), std::min(rows, columns));
        std::sort(used.begin(), used.end());
        EXPECT_EQ(std::adjacent_find(used.begin(), used.end()), used.end());
        EXPECT_NEAR(total(cost, found), by_force(cost), 1e-12);
      }
}

TEST(Assignment, FindsAHiddenPermutationOfManyRows) {
  constexpr size_t kSize = 200;
  SplitMix64 random(7);
  std::vector<int64_t> hidden(kSize);
  std::iota(hidden.begin(), hidden.end(), int64_t{0});
  for (size_t i = kSize; i > 1; --i)
    std::swap(hidden[i - 1], hidden[static_cast<size_t>(random.index(static_cast<int64_t>(i)))]);
  Cost cost = random_cost(kSize, kSize, 0, random);
  for (size_t r = 0; r < kSize; ++r) cost[r][static_cast<size_t>(hidden[r])] = -1000;
  EXPECT_EQ(assignment(cost), hidden);
}

TEST(Assignment, RefusesWhatIsNoRectangleOfNumbers) {
  EXPECT_TRUE(assignment({}).empty());
  EXPECT_EQ(assignment({{}, {}}), (std::vector<int64_t>{-1, -1}));
  EXPECT_THROW(assignment({{1, 2}, {3}}), Error);
  EXPECT_THROW(assignment({{1, NAN}, {3, 4}}), Error);
  EXPECT_THROW(assignment({{1, INFINITY}, {3, 4}}), Error);
}

}  // namespace
}  // namespace headlight::heads
