#include "heads/importance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "headlight/error.h"

namespace headlight::heads {
namespace {

LossesWithout one_by_one(const LossWithout& loss) {
  return [&loss](const std::vector<std::vector<bool>>& sets) {
    std::vector<double> losses;
    for (const std::vector<bool>& removed : sets) losses.push_back(loss(removed));
    return losses;
  };
}

}  // namespace

GateScores gate_scores(const std::vector<std::vector<double>>& gradients) {
  if (gradients.empty()) throw Error(ErrorKind::usage, "gate scores need at least one example");
  const size_t heads = gradients[0].size();
  GateScores scores;
  scores.gate_gradient.assign(heads, 0);
  scores.gate_gradient_per_example.assign(heads, 0);
  for (const auto& example : gradients) {
    if (example.size() != heads)
      throw Error(ErrorKind::usage, "every example must have a gradient for every head");
    for (size_t h = 0; h < heads; ++h) {
      scores.gate_gradient[h] += example[h] / static_cast<double>(gradients.size());
      scores.gate_gradient_per_example[h] +=
          std::abs(example[h]) / static_cast<double>(gradients.size());
    }
  }
  double squares = 0;
  for (double value : scores.gate_gradient_per_example) squares += value * value;
  for (size_t h = 0; h < heads; ++h) {
    scores.gate_gradient_absolute.push_back(std::abs(scores.gate_gradient[h]));
    scores.gate_gradient_per_example_l2.push_back(
        squares > 0 ? scores.gate_gradient_per_example[h] / std::sqrt(squares)
                    : std::numeric_limits<double>::quiet_NaN());
  }
  return scores;
}

RemovalCurve greedy_removal(int64_t heads, const LossesWithout& losses) {
  std::vector<bool> removed(heads, false);
  RemovalCurve curve{{}, losses({removed})};
  for (int64_t step = 0; step < heads; ++step) {
    std::vector<int64_t> left;
    std::vector<std::vector<bool>> sets;
    for (int64_t h = 0; h < heads; ++h) {
      if (removed[h]) continue;
      left.push_back(h);
      sets.push_back(removed);
      sets.back()[h] = true;
    }
    const std::vector<double> found = losses(sets);
    const auto best = std::min_element(found.begin(), found.end());  // the first of equals
    const int64_t head = left[static_cast<size_t>(best - found.begin())];
    removed[head] = true;
    curve.order.push_back(head);
    curve.losses.push_back(*best);
  }
  return curve;
}

RemovalCurve removal_by_score(const std::vector<double>& score, const LossesWithout& losses) {
  RemovalCurve curve;
  curve.order.resize(score.size());
  std::iota(curve.order.begin(), curve.order.end(), 0);
  std::stable_sort(curve.order.begin(), curve.order.end(),
                   [&](int64_t a, int64_t b) { return score[a] < score[b]; });
  std::vector<std::vector<bool>> sets{std::vector<bool>(score.size(), false)};
  for (int64_t h : curve.order) {
    sets.push_back(sets.back());
    sets.back()[h] = true;
  }
  curve.losses = losses(sets);
  return curve;
}

RemovalCurve greedy_removal(int64_t heads, const LossWithout& loss) {
  return greedy_removal(heads, one_by_one(loss));
}

RemovalCurve removal_by_score(const std::vector<double>& score, const LossWithout& loss) {
  return removal_by_score(score, one_by_one(loss));
}

int64_t free_heads(const std::vector<double>& losses, double tolerance) {
  int64_t most = 0;
  for (size_t k = 0; k < losses.size(); ++k)
    if (losses[k] <= losses[0] + tolerance) most = static_cast<int64_t>(k);
  return most;
}

}  // namespace headlight::heads
