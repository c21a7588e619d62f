// Sums over rows of what two models' heads add to the stream, in memory that does not grow with
// them.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "heads/attention_source.h"
#include "heads/two_models.h"

namespace headlight::heads {

class OutputHsic {
 public:
  OutputHsic(const Attention& a, const Attention& b);

  // Rows of A V of both models, [rows][heads * value_dim].
  void add(const double* a, const double* b, int64_t rows);
  void finish(TwoModels& sums) const;

 private:
  using Matrix = Eigen::MatrixXd;
  // x = (A V) R - pivot with R R^T = W_O W_O^T: inner products of rows are those of Y, since HSIC
  // does not see a shift. The pivot is the first row: a head with the same output in every row has
  // exactly zero.
  struct Side {
    explicit Side(const Attention& attention);
    Matrix rows_of(const double* o, int64_t rows);  // adds to energy, sets the pivot

    int64_t heads, dim;
    std::vector<Matrix> roots;  // R of each head
    Eigen::RowVectorXd pivot;
    std::vector<double> energy;
    Eigen::VectorXd sum;             // of x
    Eigen::VectorXd norms;           // sum of k_i = |x_i|^2, by head
    std::vector<Matrix> covariance;  // sum of x x^T, by head
    Matrix weighted;                 // column h: sum of x k_i, of each head with itself
    Eigen::VectorXd squares;         // sum of k_i^2, by head
  };

  Side a_, b_;
  int64_t rows_ = 0;
  Matrix cross_;                          // sum of x_a x_b^T
  Matrix a_times_norms_, b_times_norms_;  // sums of x_a k_b^T and x_b k_a^T
  Matrix products_;                       // sum of k_a k_b^T
};

}  // namespace headlight::heads
