#include "heads/output_hsic.h"

#include <Eigen/Eigenvalues>
#include <cmath>

namespace headlight::heads {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Norms of the rows of each head, [rows, heads].
MatrixXd squared_norms(const MatrixXd& x, int64_t heads, int64_t dim) {
  MatrixXd norms(x.rows(), heads);
  for (int64_t h = 0; h < heads; ++h)
    norms.col(h) = x.middleCols(h * dim, dim).rowwise().squaredNorm();
  return norms;
}

// What HSIC_1 is made of, K and L without their diagonals: tr(KL), 1'K1, 1'L1, 1'KL1.
double hsic_of(double trace, double whole_k, double whole_l, double product, double n) {
  if (n < 4) return 0;
  return (trace + whole_k * whole_l / ((n - 1) * (n - 2)) - 2 * product / (n - 2)) / (n * (n - 3));
}

}  // namespace

OutputHsic::Side::Side(const Attention& attention)
    : heads(attention.heads), dim(attention.output->value_dim), energy(heads, 0.0) {
  const ValuesAndOutput& output = *attention.output;
  for (int64_t h = 0; h < heads; ++h) {
    MatrixXd slice(dim, output.width);
    for (int64_t r = 0; r < dim; ++r)
      for (int64_t c = 0; c < output.width; ++c)
        slice(r, c) =
            output.w_o[h * output.head_stride + r * output.row_stride + c * output.column_stride];
    if (output.width <= dim) {
      roots.push_back(std::move(slice));
      continue;
    }
    const Eigen::SelfAdjointEigenSolver<MatrixXd> spectrum(slice * slice.transpose());
    roots.push_back(spectrum.eigenvectors() *
                    spectrum.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal());
  }
  dim = std::min(dim, output.width);
  sum = VectorXd::Zero(heads * dim);
  norms = squares = VectorXd::Zero(heads);
  covariance.assign(heads, MatrixXd::Zero(dim, dim));
  weighted = MatrixXd::Zero(dim, heads);
}

MatrixXd OutputHsic::Side::rows_of(const double* o, int64_t rows) {
  const int64_t given = roots[0].rows();
  const Eigen::Map<const RowMajor> outputs(o, rows, heads * given);
  MatrixXd x(rows, heads * dim);
  for (int64_t h = 0; h < heads; ++h) {
    x.middleCols(h * dim, dim).noalias() = outputs.middleCols(h * given, given) * roots[h];
    energy[h] += x.middleCols(h * dim, dim).squaredNorm();
  }
  if (pivot.size() == 0) pivot = x.row(0);
  x.rowwise() -= pivot;
  return x;
}

OutputHsic::OutputHsic(const Attention& a, const Attention& b)
    : a_(a),
      b_(b),
      cross_(MatrixXd::Zero(a_.heads * a_.dim, b_.heads * b_.dim)),
      a_times_norms_(MatrixXd::Zero(a_.heads * a_.dim, b_.heads)),
      b_times_norms_(MatrixXd::Zero(b_.heads * b_.dim, a_.heads)),
      products_(MatrixXd::Zero(a_.heads, b_.heads)) {}

void OutputHsic::add(const double* a, const double* b, int64_t rows) {
  if (rows == 0) return;
  rows_ += rows;
  const MatrixXd xa = a_.rows_of(a, rows), xb = b_.rows_of(b, rows);
  const MatrixXd ka = squared_norms(xa, a_.heads, a_.dim), kb = squared_norms(xb, b_.heads, b_.dim);
  cross_.noalias() += xa.transpose() * xb;
  a_times_norms_.noalias() += xa.transpose() * kb;
  b_times_norms_.noalias() += xb.transpose() * ka;
  products_.noalias() += ka.transpose() * kb;
  const auto add_own = [](Side& side, const MatrixXd& x, const MatrixXd& k) {
    side.sum += x.colwise().sum().transpose();
    side.norms += k.colwise().sum().transpose();
    side.squares += k.colwise().squaredNorm().transpose();
    for (int64_t h = 0; h < side.heads; ++h) {
      const auto own = x.middleCols(h * side.dim, side.dim);
      side.covariance[h].noalias() += own.transpose() * own;
      side.weighted.col(h).noalias() += own.transpose() * k.col(h);
    }
  };
  add_own(a_, xa, ka);
  add_own(b_, xb, kb);
}

void OutputHsic::finish(TwoModels& sums) const {
  const auto n = static_cast<double>(rows_);
  const auto sum_of = [](const Side& side, int64_t h) {
    return side.sum.segment(h * side.dim, side.dim);
  };
  const auto whole = [&](const Side& side, int64_t h) {
    return sum_of(side, h).squaredNorm() - side.norms[h];
  };
  const auto own = [&](const Side& side) {
    std::vector<double> result;
    for (int64_t h = 0; h < side.heads; ++h) {
      const VectorXd s = sum_of(side, h);
      const double trace = side.covariance[h].squaredNorm() - side.squares[h];
      const double product =
          s.dot(side.covariance[h] * s) - 2 * s.dot(side.weighted.col(h)) + side.squares[h];
      result.push_back(std::max(0.0, hsic_of(trace, whole(side, h), whole(side, h), product, n)));
    }
    return result;
  };
  sums.own_hsic_a = own(a_);
  sums.own_hsic_b = own(b_);
  sums.energy_a = a_.energy;
  sums.energy_b = b_.energy;
  sums.hsic.assign(a_.heads, std::vector<double>(b_.heads, 0.0));
  for (int64_t h = 0; h < a_.heads; ++h)
    for (int64_t g = 0; g < b_.heads; ++g) {
      const auto block = cross_.block(h * a_.dim, g * b_.dim, a_.dim, b_.dim);
      const VectorXd sa = sum_of(a_, h), sb = sum_of(b_, g);
      const double trace = block.squaredNorm() - products_(h, g);
      const double product =
          sa.dot(block * sb) - sa.dot(a_times_norms_.col(g).segment(h * a_.dim, a_.dim)) -
          sb.dot(b_times_norms_.col(h).segment(g * b_.dim, b_.dim)) + products_(h, g);
      sums.hsic[h][g] = hsic_of(trace, whole(a_, h), whole(b_, g), product, n);
    }
}

}  // namespace headlight::heads
