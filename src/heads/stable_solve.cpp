#include "heads/stable_solve.h"

#include <algorithm>
#include <cmath>

#include "heads/numbers.h"
#include "heads/row_kernels.h"

namespace headlight::heads {
namespace {

constexpr int64_t kIterations = 1000;
constexpr double kAccepted = 1e-8;

double largest(const std::vector<double>& x) {
  double top = 0;
  for (double value : x) top = std::max(top, std::abs(value));
  return top;
}

}  // namespace

std::vector<double> eliminate(const TokenGraph& graph, const std::vector<bool>& stranded) {
  const RowKernels& kernels = row_kernels();
  const int64_t n = graph.nodes(), sink = graph.sink();
  // The nodes that arrive, the sink first: eliminated from the last to the second, each keeps only
  // earlier ones to go to.
  std::vector<int64_t> order = {sink};
  for (int64_t i = 0; i < n; ++i)
    if (i != sink && !stranded[i]) order.push_back(i);
  const int64_t m = static_cast<int64_t>(order.size());
  std::vector<int64_t> place(n, -1);
  for (int64_t a = 0; a < m; ++a) place[order[a]] = a;
  // w[a * m + b]: what a sends to b; cost[a]: c_a, the expected steps times what it sends.
  std::vector<double> w(m * m, 0.0), cost(m, 0.0);
  graph.ascending([&](int64_t j, const double* row) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t a = place[i], b = place[j];
      if (a <= 0) continue;
      cost[a] += row[i];
      if (i != j && b >= 0) w[a * m + b] = row[i];
    }
  });
  std::vector<double> leaves(m, 0.0);
  for (int64_t k = m - 1; k > 0; --k) {
    leaves[k] = kernels.sum_of(w.data() + k * m, k);
    for (int64_t a = 1; a < k; ++a) {
      const double through = w[a * m + k];
      if (through == 0) continue;
      const double factor = through / leaves[k];
      const double stays = w[a * m + a];
      kernels.add_scaled(w.data() + a * m, w.data() + k * m, factor, k);
      w[a * m + a] = stays;  // coming back to a is no step elsewhere
      cost[a] += factor * cost[k];
    }
  }
  std::vector<double> times(n, kInfinity), t(m, 0.0);
  times[sink] = 0;
  for (int64_t k = 1; k < m; ++k) {
    t[k] = (cost[k] + kernels.dot(w.data() + k * m, t.data(), k)) / leaves[k];
    times[order[k]] = t[k];
  }
  return times;
}

HittingTimes iterate(const TokenGraph& graph, const std::vector<bool>& stranded) {
  const RowKernels& kernels = row_kernels();
  const int64_t n = graph.nodes(), sink = graph.sink();
  const auto unknown = [&](int64_t i) { return i != sink && !stranded[i]; };
  std::vector<double> out(n, 0.0), own(n, 0.0), b(n, 0.0);
  graph.ascending([&](int64_t j, const double* row) {
    own[j] = row[j];
    kernels.add(out.data(), row, j);
    kernels.add(out.data() + j + 1, row + j + 1, n - j - 1);
  });
  for (int64_t i = 0; i < n; ++i) b[i] = unknown(i) ? 1 + own[i] / out[i] : 0;
  // x - D^-1 W x
  const auto apply = [&](const std::vector<double>& x, std::vector<double>& y) {
    std::fill(y.begin(), y.end(), 0.0);
    graph.ascending([&](int64_t j, const double* row) {
      if (!unknown(j) || x[j] == 0) return;
      kernels.add_scaled(y.data(), row, x[j], j);
      kernels.add_scaled(y.data() + j + 1, row + j + 1, x[j], n - j - 1);
    });
    for (int64_t i = 0; i < n; ++i) y[i] = unknown(i) ? x[i] - y[i] / out[i] : 0;
  };
  std::vector<double> x = b, r(n), v(n, 0.0), p(n, 0.0), s(n), t(n);
  apply(x, r);
  for (int64_t i = 0; i < n; ++i) r[i] = b[i] - r[i];
  const std::vector<double> shadow = r;
  double rho = 1, alpha = 1, omega = 1, residual = largest(r) / largest(b);
  // Elimination of n nodes costs as much as n / 3 passes.
  const int64_t most = std::min(kIterations, std::max<int64_t>(20, n / 3));
  for (int64_t step = 0; step < most && residual > kAccepted / 100; ++step) {
    const double rho_next = kernels.dot(shadow.data(), r.data(), n);
    if (rho_next == 0 || omega == 0) break;
    const double beta = rho_next / rho * alpha / omega;
    rho = rho_next;
    for (int64_t i = 0; i < n; ++i) p[i] = r[i] + beta * (p[i] - omega * v[i]);
    apply(p, v);
    alpha = rho / kernels.dot(shadow.data(), v.data(), n);
    for (int64_t i = 0; i < n; ++i) s[i] = r[i] - alpha * v[i];
    apply(s, t);
    const double tt = kernels.dot(t.data(), t.data(), n);
    omega = tt > 0 ? kernels.dot(t.data(), s.data(), n) / tt : 0;
    for (int64_t i = 0; i < n; ++i) {
      x[i] += alpha * p[i] + omega * s[i];
      r[i] = s[i] - omega * t[i];
    }
    residual = largest(r) / largest(b);
    if (!std::isfinite(residual)) break;
  }
  // The recurrence drifts from the true residual: accept on the true one.
  apply(x, t);
  residual = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!unknown(i)) continue;
    const double left = std::abs(b[i] - t[i]) / b[i];
    residual = std::isnan(left) ? kInfinity : std::max(residual, left);
  }
  HittingTimes result{std::vector<double>(n, kInfinity), std::nullopt};
  if (!(residual <= kAccepted)) result.residual = residual;
  for (int64_t i = 0; i < n; ++i)
    if (unknown(i)) result.times[i] = x[i];
  result.times[sink] = 0;
  return result;
}

}  // namespace headlight::heads
