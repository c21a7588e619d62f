#include <Eigen/Cholesky>
#include <cmath>

#include "headlight/error.h"
#include "heads/analysis.h"
#include "heads/effective_heads.h"
#include "heads/numbers.h"
#include "heads/redundancy_sums.h"

namespace headlight::heads {
namespace {

// Centred energy below this share of the whole is rounding of a constant contribution.
constexpr double kConstant = 1e-24;

// [heads * value_dim, width], the slices of the output projection one below the other.
Eigen::MatrixXd stacked_projections(const Attention& attention) {
  const ValuesAndOutput& output = *attention.output;
  Eigen::MatrixXd stacked(attention.heads * output.value_dim, output.width);
  for (int64_t h = 0; h < attention.heads; ++h)
    for (int64_t a = 0; a < output.value_dim; ++a)
      for (int64_t c = 0; c < output.width; ++c)
        stacked(h * output.value_dim + a, c) =
            output.w_o[h * output.head_stride + a * output.row_stride + c * output.column_stride];
  return stacked;
}

}  // namespace

std::vector<std::vector<double>> value_norms(const Attention& attention) {
  const ValuesAndOutput& output = *attention.output;
  const int64_t dim = output.value_dim;
  if (dim < 1 || output.width < 1 || output.kv_heads < 1 || attention.heads % output.kv_heads != 0)
    throw Error(ErrorKind::usage, "values and output projection do not fit the number of heads");
  const Eigen::MatrixXd stacked = stacked_projections(attention);
  std::vector<std::vector<double>> norms(attention.heads, std::vector<double>(attention.keys));
  for (int64_t h = 0; h < attention.heads; ++h) {
    const Eigen::MatrixXd slice = stacked.middleRows(h * dim, dim);
    const float* v = output.v.data + h / (attention.heads / output.kv_heads) * output.v.head_stride;
    const bool wide = output.width > dim;
    // W_O W_O^T = L L^T: the same norms from a dim x dim matrix.
    const Eigen::LLT<Eigen::MatrixXd> cholesky(slice * slice.transpose());
    const bool factored = wide && cholesky.info() == Eigen::Success;
    const Eigen::MatrixXd root = cholesky.matrixL();
    Eigen::VectorXd value(dim);
    for (int64_t j = 0; j < attention.keys; ++j) {
      for (int64_t a = 0; a < dim; ++a)
        value[a] = static_cast<double>(v[j * output.v.row_stride + a]);
      norms[h][j] =
          factored ? (root.transpose() * value).norm() : (slice.transpose() * value).norm();
    }
  }
  return norms;
}

OutputSums::OutputSums(const Attention& attention)
    : heads_(attention.heads), dim_(attention.output->value_dim) {
  const Eigen::MatrixXd stacked = stacked_projections(attention);
  projections_ = stacked * stacked.transpose();
  covariance_ = Matrix::Zero(width(), width());
  sum_ = Eigen::VectorXd::Zero(width());
}

void OutputSums::add(const double* o, int64_t rows) {
  if (rows == 0) return;
  Matrix x = Eigen::Map<const Matrix>(o, rows, width());
  if (rows_ == 0) pivot_ = x.row(0).transpose();
  x.rowwise() -= pivot_.transpose();
  covariance_.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose());
  sum_ += x.colwise().sum().transpose();
  rows_ += rows;
}

void OutputSums::merge(const OutputSums& other) {
  if (other.rows_ == 0) return;
  if (rows_ == 0) {
    *this = other;
    return;
  }
  // Move the other sums to this pivot: x' = x + d.
  const Eigen::VectorXd d = other.pivot_ - pivot_;
  const double n = static_cast<double>(other.rows_);
  Matrix moved = other.covariance_;
  moved += d * other.sum_.transpose() + other.sum_ * d.transpose() + n * d * d.transpose();
  covariance_ += moved;
  sum_ += other.sum_ + n * d;
  rows_ += other.rows_;
}

Redundancy::Output OutputSums::finish(const std::vector<std::vector<int64_t>>& layers,
                                      const std::vector<bool>& bad) const {
  Redundancy::Output out;
  out.energy_share.assign(heads_, kNaN);
  out.cka.assign(heads_, std::vector<double>(heads_, kNaN));
  out.cosine = out.cka;
  if (rows_ == 0) {
    out.effective_heads_cka.resize(layers.size());
    out.effective_heads_cosine.resize(layers.size());
    return out;
  }
  const double n = static_cast<double>(rows_);
  Matrix shifted = covariance_.selfadjointView<Eigen::Lower>();
  const Matrix centred = shifted - sum_ * sum_.transpose() / n;
  const Matrix plain = shifted + pivot_ * sum_.transpose() + sum_ * pivot_.transpose() +
                       n * pivot_ * pivot_.transpose();
  const auto block = [&](const Matrix& whole, int64_t h, int64_t g) {
    return whole.block(h * dim_, g * dim_, dim_, dim_);
  };
  // <Y_h, Y_g> = sum of C_hg o G_hg
  const auto inner = [&](const Matrix& covariance, int64_t h, int64_t g) {
    return block(covariance, h, g).cwiseProduct(block(projections_, h, g)).sum();
  };
  // ||Y_h^T Y_g||^2 = tr(G_hh C_hg G_gg C_hg^T)
  const auto cross = [&](int64_t h, int64_t g) {
    const Matrix left = block(projections_, h, h) * block(centred, h, g);
    const Matrix right = block(centred, h, g) * block(projections_, g, g);
    return left.cwiseProduct(right).sum();
  };
  std::vector<double> energy(heads_), own(heads_);
  for (int64_t h = 0; h < heads_; ++h) {
    if (bad[h]) continue;
    energy[h] = std::max(0.0, inner(plain, h, h));
    const bool constant = inner(centred, h, h) <= kConstant * energy[h];
    own[h] = constant ? 0 : std::sqrt(std::max(0.0, cross(h, h)));
    if (energy[h] == 0)
      out.dead.push_back(h);
    else if (constant)
      out.constant.push_back(h);
  }
  for (int64_t h = 0; h < heads_; ++h)
    for (int64_t g = 0; g <= h; ++g) {
      if (bad[h] || bad[g] || energy[h] == 0 || energy[g] == 0) continue;
      out.cosine[h][g] = out.cosine[g][h] =
          h == g ? 1 : inner(plain, h, g) / std::sqrt(energy[h] * energy[g]);
      // A constant contribution shares no variation with any other: like nothing but itself.
      const bool varies = own[h] > 0 && own[g] > 0;
      out.cka[h][g] = out.cka[g][h] = h == g   ? 1
                                      : varies ? std::max(0.0, cross(h, g)) / (own[h] * own[g])
                                               : 0;
    }
  for (const auto& layer : layers) {
    double total = 0;
    bool whole = true;
    for (int64_t h : layer) {
      total += energy[h];
      whole &= !bad[h];
    }
    for (int64_t h : layer)
      if (whole && total > 0) out.energy_share[h] = energy[h] / total;
    out.effective_heads_cka.push_back(whole ? effective_heads(out.cka, layer) : std::nullopt);
    out.effective_heads_cosine.push_back(whole ? effective_heads(out.cosine, layer) : std::nullopt);
  }
  return out;
}

}  // namespace headlight::heads
