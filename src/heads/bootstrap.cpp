#include "heads/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "headlight/error.h"
#include "headlight/splitmix64.h"

namespace headlight::heads {
namespace {

// Linear interpolation between order statistics.
double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

Interval interval_of(double mean, std::vector<double> replicates) {
  const auto at_most =
      std::count_if(replicates.begin(), replicates.end(), [](double value) { return value <= 0; });
  const auto at_least =
      std::count_if(replicates.begin(), replicates.end(), [](double value) { return value >= 0; });
  std::sort(replicates.begin(), replicates.end());
  const double p = 2 * static_cast<double>(std::min(at_most, at_least) + 1) /
                   static_cast<double>(replicates.size() + 1);
  return {mean, percentile(replicates, 0.025), percentile(replicates, 0.975), std::min(1.0, p)};
}

void check(const std::vector<std::vector<double>>& differences, int64_t replicates) {
  if (replicates < 1) throw Error(ErrorKind::usage, "a bootstrap needs at least one replicate");
  if (differences.empty() || differences[0].empty())
    throw Error(ErrorKind::usage, "a bootstrap needs at least one seed and one item");
  for (const auto& items : differences)
    if (items.size() != differences[0].size())
      throw Error(ErrorKind::usage, "every seed must have the same items");
}

double mean_of(const std::vector<std::vector<double>>& differences) {
  double sum = 0;
  for (const auto& items : differences)
    for (double value : items) sum += value;
  return sum / static_cast<double>(differences.size() * differences[0].size());
}

Interval resample(const std::vector<std::vector<double>>& differences, int64_t replicates,
                  uint64_t seed, bool draw_seeds) {
  check(differences, replicates);
  const int64_t seeds = static_cast<int64_t>(differences.size());
  const int64_t items = static_cast<int64_t>(differences[0].size());
  SplitMix64 random(seed);
  std::vector<double> means(replicates);
  std::vector<int64_t> drawn(seeds, 0);
  for (double& mean : means) {
    if (draw_seeds)
      for (int64_t& one : drawn) one = random.index(seeds);
    double sum = 0;
    for (int64_t one : drawn) {
      const double* values = differences[one].data();
      for (int64_t i = 0; i < items; ++i) sum += values[random.index(items)];
    }
    mean = sum / static_cast<double>(seeds * items);
  }
  return interval_of(mean_of(differences), std::move(means));
}

}  // namespace

Interval paired_bootstrap(const std::vector<double>& differences, int64_t replicates,
                          uint64_t seed) {
  return resample({differences}, replicates, seed, false);
}

Interval two_level_bootstrap(const std::vector<std::vector<double>>& differences,
                             int64_t replicates, uint64_t seed) {
  return resample(differences, replicates, seed, true);
}

std::vector<Interval> sums_bootstrap(
    const std::vector<std::vector<double>>& items,
    const std::function<std::vector<double>(const std::vector<double>&)>& value, int64_t replicates,
    uint64_t seed) {
  check(items, replicates);
  const int64_t count = static_cast<int64_t>(items.size());
  const size_t terms = items[0].size();
  std::vector<double> sums(terms, 0.0);
  for (const auto& item : items)
    for (size_t k = 0; k < terms; ++k) sums[k] += item[k];
  const std::vector<double> whole = value(sums);
  std::vector<std::vector<double>> drawn(whole.size());
  SplitMix64 random(seed);
  for (int64_t replicate = 0; replicate < replicates; ++replicate) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t i = 0; i < count; ++i) {
      const std::vector<double>& item = items[random.index(count)];
      for (size_t k = 0; k < terms; ++k) sums[k] += item[k];
    }
    const std::vector<double> values = value(sums);
    for (size_t v = 0; v < values.size(); ++v) drawn[v].push_back(values[v]);
  }
  std::vector<Interval> intervals;
  for (size_t v = 0; v < whole.size(); ++v) {
    std::sort(drawn[v].begin(), drawn[v].end());
    intervals.push_back({.mean = whole[v],
                         .low = percentile(drawn[v], 0.025),
                         .high = percentile(drawn[v], 0.975)});
  }
  return intervals;
}

}  // namespace headlight::heads
