// Intervals for differences between runs (metrics.md, section F).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace headlight::heads {

// How often everything that has an interval is drawn again.
inline constexpr int64_t kReplicates = 2000;

struct Interval {
  double mean = 0;           // of the data
  double low = 0, high = 0;  // 95 %
  double p = 1;              // two-sided, of no difference
};

// Resamples items. Differences of one pair of models on the same items, paired by item.
Interval paired_bootstrap(const std::vector<double>& differences, int64_t replicates,
                          uint64_t seed);

// Resamples seeds, and items inside each drawn seed: the items of one run are no independent
// evidence about a method. differences[seed][item], the same number of items for every seed.
// Both throw headlight::Error (usage) for no data, unequal rows or no replicates.
Interval two_level_bootstrap(const std::vector<std::vector<double>>& differences,
                             int64_t replicates, uint64_t seed);

// Resamples items of numbers that are made from sums over them, such as a ratio of sums: items[i]
// are the terms of item i, value(sums over items) gives the numbers, and there is one interval for
// each. p is left at 1. Throws headlight::Error (usage) for no items or no replicates.
std::vector<Interval> sums_bootstrap(
    const std::vector<std::vector<double>>& items,
    const std::function<std::vector<double>(const std::vector<double>&)>& value, int64_t replicates,
    uint64_t seed);

}  // namespace headlight::heads
