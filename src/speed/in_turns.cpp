#include "speed/in_turns.h"

#include <algorithm>
#include <chrono>

namespace headlight::speed {
namespace {

double seconds_of(const std::function<void()>& step, int repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) step();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
}

}  // namespace

std::vector<Times> in_turns(const std::vector<std::function<void()>>& steps, double seconds) {
  constexpr double kSlot = 0.02, kLong = 0.05;  // seconds
  std::vector<double> expected;
  double round = 0;
  for (const auto& step : steps) {
    step();
    expected.push_back(seconds_of(step, 1));
    round += std::max(2 * expected.back(), kSlot);
  }
  const int rounds = std::clamp(static_cast<int>(seconds / round), 3, 31);
  std::vector<std::vector<double>> times(steps.size());
  for (int r = 0; r < rounds; ++r)
    for (size_t i = 0; i < steps.size(); ++i) {
      if (expected[i] < kLong) steps[i]();
      const int repeats = std::clamp(static_cast<int>(kSlot / expected[i]), 1, 100);
      times[i].push_back(seconds_of(steps[i], repeats));
    }
  std::vector<Times> result;
  for (std::vector<double>& all : times) {
    std::ranges::sort(all);
    result.push_back({all[all.size() / 2], all.front()});
  }
  return result;
}

}  // namespace headlight::speed
