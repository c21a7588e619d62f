// How much the loss needs each head, from numbers that a model made (metrics.md, section D).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace headlight::heads {

// Derivatives of the loss by head gates, reduced over examples.
struct GateScores {
  std::vector<double> gate_gradient;                 // mean, signed
  std::vector<double> gate_gradient_absolute;        // of the mean
  std::vector<double> gate_gradient_per_example;     // mean of absolute values: the ranking score
  std::vector<double> gate_gradient_per_example_l2;  // divided by the norm over the layer's heads
};
// gradients[example][head], the heads of one layer.
GateScores gate_scores(const std::vector<std::vector<double>>& gradients);

// Losses while heads are removed one by one; losses[k] is without the first k heads of `order`.
struct RemovalCurve {
  std::vector<int64_t> order;
  std::vector<double> losses;
};
// The loss with some heads removed (true).
using LossWithout = std::function<double(const std::vector<bool>& removed)>;
// The same for several sets of heads, for those who can find their losses together.
using LossesWithout =
    std::function<std::vector<double>(const std::vector<std::vector<bool>>& removed)>;

// Removes, each time, the head whose removal leaves the smallest loss; ties: the lowest head.
RemovalCurve greedy_removal(int64_t heads, const LossesWithout&);
RemovalCurve greedy_removal(int64_t heads, const LossWithout&);
// Removes by ascending score, without looking again.
RemovalCurve removal_by_score(const std::vector<double>& score, const LossesWithout&);
RemovalCurve removal_by_score(const std::vector<double>& score, const LossWithout&);

// The largest k with losses[k] <= losses[0] + tolerance.
int64_t free_heads(const std::vector<double>& losses, double tolerance);

}  // namespace headlight::heads
