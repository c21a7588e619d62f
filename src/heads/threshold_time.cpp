#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "heads/numbers.h"
#include "heads/row_kernels.h"
#include "heads/walks.h"

namespace headlight::heads {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr double kVariation = 0.25 + kEqual;  // d(t) <= 1/4
constexpr double kL1 = 0.125 - kEqual;        // d(t) < 1/8
constexpr int64_t kSquaringNodes = 2048;
constexpr int64_t kPlainSteps = 64;  // before squaring pays
constexpr int kSquarings = 40;

// A walk that ends in one node: step makes Q u from u, matrix makes Q.
struct Walk {
  std::function<void(const std::vector<double>& u, std::vector<double>& next)> step;
  std::function<Matrix()> matrix;
};

double farthest(const std::vector<double>& u) { return *std::max_element(u.begin(), u.end()); }

// Q^(2^k), kept while they fit into memory, made again from the last kept one otherwise.
class Powers {
 public:
  Powers(Matrix first, int64_t memory)
      : most_(std::max<int64_t>(1, memory / 8 / std::max<int64_t>(1, first.size()))) {
    kept_.push_back(std::move(first));
  }
  std::vector<double> apply(int k, const std::vector<double>& u) {
    const Eigen::Map<const Eigen::VectorXd> from(u.data(), static_cast<Eigen::Index>(u.size()));
    std::vector<double> result(u.size());
    Eigen::Map<Eigen::VectorXd>(result.data(), from.size()) = power(k) * from;
    return result;
  }

 private:
  const Matrix& power(int k) {
    while (static_cast<int>(kept_.size()) <= k && static_cast<int64_t>(kept_.size()) < most_)
      kept_.push_back(kept_.back() * kept_.back());
    if (k < static_cast<int>(kept_.size())) return kept_[k];
    if (loose_k_ < static_cast<int>(kept_.size()) || loose_k_ > k) {
      loose_ = kept_.back();
      loose_k_ = static_cast<int>(kept_.size()) - 1;
    }
    for (; loose_k_ < k; ++loose_k_) loose_ = Matrix(loose_ * loose_);
    return loose_;
  }
  int64_t most_;
  std::vector<Matrix> kept_;
  Matrix loose_;
  int loose_k_ = -1;
};

// Smallest t with d(t) <= threshold, from u after `done` steps, where d is still above it.
Steps search(Powers& powers, std::vector<double> u, int64_t done, double threshold) {
  double steps = static_cast<double>(done);
  int k = 0;
  for (; k <= kSquarings; ++k)
    if (farthest(powers.apply(k, u)) <= threshold) break;
  if (k > kSquarings) return {steps + std::exp2(kSquarings), true};
  // Between 2^(k-1) and 2^k further steps: the largest number that is still above, bit by bit.
  for (int bit = k - 1; bit >= 0; --bit) {
    std::vector<double> further = powers.apply(bit, u);
    if (farthest(further) <= threshold) continue;
    u = std::move(further);
    steps += std::exp2(bit);
  }
  return {steps + 1, false};
}

// The first step at which d is at most each threshold.
std::vector<Steps> first_steps(const Walk& walk, int64_t nodes, int64_t absorbing, bool may_square,
                               int64_t step_limit, int64_t memory,
                               const std::vector<double>& thresholds) {
  std::vector<double> u(nodes, 1.0), next(nodes);
  u[absorbing] = 0;
  const int64_t limit = may_square ? kPlainSteps : step_limit;
  std::vector<Steps> found(thresholds.size());
  size_t open = 0;  // thresholds come from the largest to the smallest
  int64_t t = 0;
  for (;; ++t) {
    const double d = farthest(u);
    while (open < thresholds.size() && d <= thresholds[open])
      found[open++] = {static_cast<double>(t), false};
    if (open == thresholds.size() || t == limit) break;
    walk.step(u, next);
    std::swap(u, next);
  }
  if (open == thresholds.size()) return found;
  if (!may_square) {
    for (; open < thresholds.size(); ++open) found[open] = {static_cast<double>(limit), true};
    return found;
  }
  Powers powers(walk.matrix(), memory);
  for (; open < thresholds.size(); ++open) found[open] = search(powers, u, t, thresholds[open]);
  return found;
}

// From each token towards the sink: transposed weights, normalised by what the token sends.
Walk forward_walk(const TokenGraph& graph) {
  const int64_t n = graph.nodes(), sink = graph.sink();
  std::vector<double> sent(n, 0.0);
  graph.ascending(
      [&](int64_t j, const double* row) { row_kernels().add(sent.data(), row, graph.row_end(j)); });
  Walk walk;
  walk.step = [&graph, sent, n, sink](const std::vector<double>& u, std::vector<double>& next) {
    std::fill(next.begin(), next.end(), 0.0);
    graph.ascending([&](int64_t j, const double* row) {
      if (u[j] != 0) row_kernels().add_scaled(next.data(), row, u[j], graph.row_end(j));
    });
    for (int64_t i = 0; i < n; ++i) next[i] = i == sink ? 0 : next[i] / sent[i];
  };
  walk.matrix = [&graph, sent, n, sink] {
    Matrix q = Matrix::Zero(n, n);
    graph.ascending([&](int64_t j, const double* row) {
      if (j == sink) return;
      for (int64_t i = 0; i < graph.row_end(j); ++i)
        if (i != sink) q(i, j) = row[i] / sent[i];
    });
    return q;
  };
  return walk;
}

// From each token to what it read, towards the source.
Walk backward_walk(const TokenGraph& graph) {
  const int64_t n = graph.nodes();
  Walk walk;
  walk.step = [&graph](const std::vector<double>& u, std::vector<double>& next) {
    graph.ascending([&](int64_t j, const double* row) {
      next[j] = j == 0 ? 0 : row_kernels().dot(row, u.data(), graph.row_end(j));
    });
  };
  walk.matrix = [&graph, n] {
    Matrix q = Matrix::Zero(n, n);
    graph.ascending([&](int64_t j, const double* row) {
      if (j > 0)
        for (int64_t i = 1; i < graph.row_end(j); ++i) q(j, i) = row[i];
    });
    return q;
  };
  return walk;
}

}  // namespace

ThresholdTimes threshold_times(const TokenGraph& graph, int64_t unreachable, int64_t step_limit,
                               int64_t memory) {
  const int64_t n = graph.nodes();
  const Steps none{0, false}, never{kInfinity, false};
  ThresholdTimes times;
  if (n == 1) {
    times.forward = times.forward_l1 = none;
    if (graph.causal()) times.backward = none;
    return times;
  }
  const bool may_square = n <= kSquaringNodes;
  if (unreachable > 0) {
    times.forward = times.forward_l1 = never;
  } else {
    const std::vector<Steps> found = first_steps(forward_walk(graph), n, graph.sink(), may_square,
                                                 step_limit, memory, {kVariation, kL1});
    times.forward = found[0];
    times.forward_l1 = found[1];
  }
  if (!graph.causal()) return times;
  // The source keeps everything; a second token that does so makes it ambiguous.
  bool source_keeps = false, another_keeps = false;
  graph.ascending([&](int64_t j, const double* row) {
    if (j == 0)
      source_keeps = std::abs(row[0] - 1) <= kEqual;
    else if (row_kernels().sum_of(row, j) == 0)
      another_keeps = true;
  });
  if (!source_keeps) return times;
  times.backward = another_keeps ? never
                                 : first_steps(backward_walk(graph), n, 0, may_square, step_limit,
                                               memory, {kVariation})[0];
  return times;
}

}  // namespace headlight::heads
