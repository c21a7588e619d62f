#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "task/synthetic.h"

namespace headlight::task {
namespace {

// What always naming the likeliest symbol of each place would reach. The k-th smallest of n is at
// most v if at least k are, and how many are is binomial.
double best_guess(int64_t n, int64_t symbols) {
  std::vector<double> below(static_cast<size_t>(n) + 1), best(below.size());
  for (int64_t v = 0; v < symbols; ++v) {
    const double p = static_cast<double>(v + 1) / static_cast<double>(symbols);
    double up_to = 0;  // P(at least k symbols are at most v)
    for (int64_t k = n; k >= 1; --k) {
      const double log2_ways = log2_factorial(n) - log2_factorial(k) - log2_factorial(n - k);
      up_to += p == 1 ? (k == n ? 1 : 0)
                      : std::exp2(log2_ways + static_cast<double>(k) * std::log2(p) +
                                  static_cast<double>(n - k) * std::log2(1 - p));
      const auto at = static_cast<size_t>(k);
      best[at] = std::max(best[at], up_to - below[at]);
      below[at] = up_to;
    }
  }
  return std::accumulate(best.begin(), best.end(), 0.0) / static_cast<double>(n);
}

}  // namespace

// sort(n, V): n symbols, a separator V, then the first n - 1 sorted symbols; the labels from the
// separator on are the n sorted symbols.
Definition sort_task(Arguments& arguments) {
  const int64_t count = arguments.number("n, how many to sort,", 1, 1024);
  const int64_t symbols = arguments.number("V, the number of symbols,", 2, 1024);
  Definition task =
      say_again(count, symbols, [](std::span<int64_t> said) { std::ranges::sort(said); });
  task.info.name = fmt::format("sort({},{})", count, symbols);
  task.info.about =
      fmt::format("Say {} symbols again in ascending order; {} symbols.", count, symbols);
  task.info.note = "The recommended steps leave it unfinished: compare, do not expect 100 %.";
  task.info.chance = best_guess(count, symbols);
  task.info.recommended_steps = stretched_steps(
      600, std::max(static_cast<double>(count) / 16, static_cast<double>(symbols) / 32), 25);
  return task;
}

}  // namespace headlight::task
