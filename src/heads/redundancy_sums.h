// Sums over rows from which Redundancy is made; those of several sequences add up.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "heads/attention_source.h"
#include "heads/redundancy.h"
#include "heads/visible_keys.h"

namespace headlight::heads {

// Bhattacharyya coefficients and Jensen-Shannon divergences between the rows of all heads.
class RowSimilaritySums {
 public:
  RowSimilaritySums() = default;
  RowSimilaritySums(int64_t heads, bool jensen_shannon);

  // p[h * head_stride + r * row_stride + j] for every head, `rows` rows, keys [begin, end).
  // entropy(h, r) of each. Rows that are not used are zero.
  struct Band {
    const double* p = nullptr;
    int64_t head_stride = 0, row_stride = 0, rows = 0, begin = 0, end = 0;
    int64_t used_rows = 0;
    const double* entropy = nullptr;  // [heads][rows]
  };
  void add(const Band&);
  void merge(const RowSimilaritySums&);

  // NaN in the rows and columns of bad heads.
  HeadMatrix bhattacharyya(const std::vector<bool>& bad) const;
  std::optional<HeadMatrix> jensen_shannon(const std::vector<bool>& bad) const;

 private:
  int64_t heads_ = 0;
  int64_t rows_ = 0;
  bool with_jensen_shannon_ = false;
  std::vector<double> gram_;            // [heads][heads], lower half
  std::vector<double> jensen_shannon_;  // the same
  std::vector<double> workspace_, mixture_;
};

HeadMatrix hellinger_of(const HeadMatrix& bhattacharyya);

// What each head adds to the residual stream, Y_h = A V W_O, without building it: one covariance of
// O = A V and the products of the output projections hold everything.
class OutputSums {
 public:
  OutputSums() = default;
  explicit OutputSums(const Attention&);

  // o[r * width + h * value_dim + a], used rows only
  void add(const double* o, int64_t rows);
  void merge(const OutputSums&);
  int64_t width() const { return heads_ * dim_; }
  Redundancy::Output finish(const std::vector<std::vector<int64_t>>& layers,
                            const std::vector<bool>& bad) const;

 private:
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  int64_t heads_ = 0, dim_ = 0, rows_ = 0;
  Matrix projections_;  // W_O^h W_O^g^T in blocks, [heads * dim, heads * dim]
  // Sums over rows of x x^T and x, where x = o - pivot and the pivot is the first row: a head with
  // the same output in every row has exactly zero.
  Matrix covariance_;
  Eigen::VectorXd sum_, pivot_;
};

}  // namespace headlight::heads
