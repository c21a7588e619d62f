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

namespace {

// The system x_i - sum_{j != i} A_ji x_j / out_i = b_i over the nodes that arrive, as I - U - L: U
// are the edges to later nodes, L those to earlier ones. x is 0 where there is nothing to find.
class HittingSystem {
 public:
  HittingSystem(const TokenGraph& graph, const std::vector<bool>& stranded)
      : b(graph.nodes(), 0.0),
        graph_(graph),
        unknown_(graph.nodes()),
        out_(graph.nodes(), 0.0),
        sums_(graph.nodes()),
        rest_(graph.nodes()) {
    const int64_t n = graph.nodes();
    std::vector<double> own(n);
    graph.ascending([&](int64_t j, const double* row) {
      own[j] = row[j];
      kernels_.add(out_.data(), row, j);
      kernels_.add(out_.data() + j + 1, row + j + 1, n - j - 1);
    });
    for (int64_t i = 0; i < n; ++i) {
      unknown_[i] = i != graph.sink() && !stranded[i];
      if (unknown_[i]) b[i] = 1 + own[i] / out_[i];
    }
  }

  bool unknown(int64_t i) const { return unknown_[i]; }

  // x - L x = r, from the first node up.
  void solve_earlier(const std::vector<double>& r, std::vector<double>& x) {
    const int64_t n = graph_.nodes();
    std::fill(sums_.begin(), sums_.end(), 0.0);
    graph_.ascending([&](int64_t j, const double* row) {
      x[j] = value(r, j);
      if (x[j] != 0) kernels_.add_scaled(sums_.data() + j + 1, row + j + 1, x[j], n - j - 1);
    });
  }

  // z = (I - U)^-1 v and y = (I - L)^-1 (I - U - L) z, which is z + (I - L)^-1 (v - z): each edge
  // is read once (Eisenstat 1981).
  void product(const std::vector<double>& v, std::vector<double>& z, std::vector<double>& y) {
    std::fill(sums_.begin(), sums_.end(), 0.0);
    graph_.descending([&](int64_t j, const double* row) {
      z[j] = value(v, j);
      if (z[j] != 0) kernels_.add_scaled(sums_.data(), row, z[j], j);
    });
    for (size_t i = 0; i < z.size(); ++i) rest_[i] = v[i] - z[i];
    solve_earlier(rest_, y);
    for (size_t i = 0; i < z.size(); ++i) y[i] += z[i];
  }

  // r = b - (I - U - L) x; returns its worst component beside that of b.
  double residual(const std::vector<double>& x, std::vector<double>& r) {
    const int64_t n = graph_.nodes();
    std::fill(sums_.begin(), sums_.end(), 0.0);
    graph_.ascending([&](int64_t j, const double* row) {
      if (x[j] == 0) return;
      kernels_.add_scaled(sums_.data(), row, x[j], j);
      kernels_.add_scaled(sums_.data() + j + 1, row + j + 1, x[j], n - j - 1);
    });
    double worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (!unknown_[i]) continue;
      r[i] = b[i] - (x[i] - sums_[i] / out_[i]);
      const double share = std::abs(r[i]) / b[i];
      worst = std::isnan(share) ? kInfinity : std::max(worst, share);
    }
    return worst;
  }

  std::vector<double> b;

 private:
  double value(const std::vector<double>& r, int64_t i) const {
    return unknown_[i] ? r[i] + sums_[i] / out_[i] : 0;
  }

  const RowKernels& kernels_ = row_kernels();
  const TokenGraph& graph_;
  std::vector<bool> unknown_;
  std::vector<double> out_, sums_, rest_;
};

}  // namespace

HittingTimes iterate(const TokenGraph& graph, const std::vector<bool>& stranded) {
  const RowKernels& kernels = row_kernels();
  const int64_t n = graph.nodes();
  HittingSystem system(graph, stranded);
  // Elimination of n nodes costs as much as n / 3 passes.
  const int64_t most = std::min(kIterations, std::max<int64_t>(20, n / 3));
  std::vector<double> x(n, 0.0), left = system.b;
  std::vector<double> r(n), p(n), v(n), s(n), t(n), to_p(n), to_s(n);
  double residual = 1;
  for (int64_t step = 0; step < most && residual > kAccepted;) {
    // Begun again from the true residual, from which the recurrence drifts.
    system.solve_earlier(left, r);
    const std::vector<double> shadow = r;
    const double enough = largest(r) * kAccepted / 100 / residual;
    std::fill(p.begin(), p.end(), 0.0);
    std::fill(v.begin(), v.end(), 0.0);
    double rho = 1, alpha = 1, omega = 1;
    for (; step < most && largest(r) > enough; ++step) {
      const double rho_next = kernels.dot(shadow.data(), r.data(), n);
      if (rho_next == 0 || omega == 0) break;
      const double beta = rho_next / rho * alpha / omega;
      rho = rho_next;
      for (int64_t i = 0; i < n; ++i) p[i] = r[i] + beta * (p[i] - omega * v[i]);
      system.product(p, to_p, v);
      alpha = rho / kernels.dot(shadow.data(), v.data(), n);
      for (int64_t i = 0; i < n; ++i) s[i] = r[i] - alpha * v[i];
      system.product(s, to_s, t);
      const double tt = kernels.dot(t.data(), t.data(), n);
      omega = tt > 0 ? kernels.dot(t.data(), s.data(), n) / tt : 0;
      for (int64_t i = 0; i < n; ++i) {
        x[i] += alpha * to_p[i] + omega * to_s[i];
        r[i] = s[i] - omega * t[i];
      }
    }
    const double before = residual;
    residual = system.residual(x, left);
    if (!(residual < before / 2)) break;
  }
  HittingTimes result{std::vector<double>(n, kInfinity), std::nullopt};
  if (!(residual <= kAccepted)) result.residual = residual;
  for (int64_t i = 0; i < n; ++i)
    if (system.unknown(i)) result.times[i] = x[i];
  result.times[graph.sink()] = 0;
  return result;
}

}  // namespace headlight::heads
