#include <algorithm>
#include <cmath>

#include "heads/numbers.h"
#include "heads/row_kernels.h"
#include "heads/stable_solve.h"
#include "heads/walks.h"

namespace headlight::heads {
namespace {

// Below, elimination is quick; above, it is there for graphs on which iteration does not settle.
constexpr int64_t kEliminatedAtOnce = 128, kLargestEliminated = 4096;

}  // namespace

CausalHitting::CausalHitting(int64_t nodes)
    : out_(nodes, 0.0), carried_(nodes, 0.0), times_(nodes, 0.0) {}

void CausalHitting::add_row(int64_t j, const double* row) {
  const int64_t last = static_cast<int64_t>(times_.size()) - 1;
  double time = 0;
  if (j < last) {
    // All later rows are in: what j sends to others is complete, and c_j = out_j + A_jj. No 1 -
    // P_jj is ever formed, so a head close to the identity keeps its full relative accuracy.
    time = out_[j] > 0 ? (out_[j] + row[j] + carried_[j]) / out_[j] : kInfinity;
  }
  times_[j] = time;
  if (std::isfinite(time)) {
    row_kernels().add_and_add_scaled(out_.data(), carried_.data(), row, time, j);
    return;
  }
  for (int64_t i = 0; i < j; ++i) {
    if (row[i] > 0) carried_[i] = kInfinity;
    out_[i] += row[i];
  }
}

namespace {

// Nodes that may never meet the sink: those from which it cannot be reached, and those that can
// meet one of them before the sink.
std::vector<bool> may_never_arrive(const TokenGraph& graph) {
  const int64_t n = graph.nodes(), sink = graph.sink();
  std::vector<bool> arrives(n, false), stranded(n, false);
  arrives[sink] = true;
  const auto spread = [&](std::vector<bool>& marked) {
    int64_t left = std::count(marked.begin(), marked.end(), false);
    for (bool changed = left < n; changed && left > 0;) {
      changed = false;
      graph.descending([&](int64_t j, const double* row) {
        if (!marked[j] || left == 0) return;
        for (int64_t i = 0; i < n; ++i)
          if (row[i] > 0 && !marked[i] && i != sink) {
            changed = marked[i] = true;
            --left;
          }
      });
    }
  };
  spread(arrives);
  for (int64_t i = 0; i < n; ++i) stranded[i] = !arrives[i];
  spread(stranded);
  return stranded;
}

}  // namespace

HittingTimes hitting_times(const TokenGraph& graph) {
  const int64_t n = graph.nodes(), sink = graph.sink();
  if (graph.causal() && sink == n - 1) {
    CausalHitting hitting(n);
    graph.descending([&](int64_t j, const double* row) { hitting.add_row(j, row); });
    return {hitting.times(), std::nullopt};
  }
  const std::vector<bool> stranded = may_never_arrive(graph);
  if (n > kEliminatedAtOnce) {
    HittingTimes found = iterate(graph, stranded);
    if (!found.residual || n > kLargestEliminated) return found;
  }
  return {eliminate(graph, stranded), std::nullopt};
}

void summarise_hitting(HittingTimes hitting, Flow& flow) {
  flow.hitting_residual = hitting.residual;
  if (hitting.residual) return;
  double sum = 0, finite = 0, largest = 0;
  int64_t unreachable = 0;
  for (double t : hitting.times) {
    sum += t;
    largest = std::max(largest, t);
    if (std::isfinite(t))
      finite += t;
    else
      ++unreachable;
  }
  const double n = static_cast<double>(hitting.times.size());
  flow.hitting_mean = sum / n;
  flow.hitting_max = largest;
  flow.hitting_mean_reachable = finite / (n - static_cast<double>(unreachable));
  flow.unreachable = unreachable;
  flow.hitting_times = std::move(hitting.times);
}

}  // namespace headlight::heads
