#include <cmath>

#include "heads/numbers.h"
#include "heads/redundancy_sums.h"
#include "heads/row_kernels.h"

namespace headlight::heads {
namespace {}  // namespace

RowSimilaritySums::RowSimilaritySums(int64_t heads, bool jensen_shannon)
    : heads_(heads),
      with_jensen_shannon_(jensen_shannon),
      gram_(heads * heads, 0.0),
      jensen_shannon_(jensen_shannon ? heads * heads : 0, 0.0),
      workspace_(heads * kGramChunk) {}

void RowSimilaritySums::add(const Band& band) {
  const RowKernels& kernels = row_kernels();
  rows_ += band.used_rows;
  const int64_t n = band.end - band.begin;
  if (n <= 0) return;
  for (int64_t r = 0; r < band.rows; ++r)
    kernels.root_gram(band.p + r * band.row_stride + band.begin, band.head_stride, heads_, n,
                      gram_.data(), workspace_.data());
  if (!with_jensen_shannon_) return;
  // H((p + q) / 2) - (H(p) + H(q)) / 2, the mean of the mixture's logarithms taken by tiles.
  for (int64_t r = 0; r < band.rows; ++r)
    for (int64_t h = 0; h < heads_; ++h)
      for (int64_t g = 0; g < h; ++g) {
        const double* p = band.p + h * band.head_stride + r * band.row_stride + band.begin;
        const double* q = band.p + g * band.head_stride + r * band.row_stride + band.begin;
        jensen_shannon_[h * heads_ + g] +=
            -kernels.mixture_negative_entropy(p, q, n) -
            (band.entropy[h * band.rows + r] + band.entropy[g * band.rows + r]) / 2;
      }
}

void RowSimilaritySums::merge(const RowSimilaritySums& other) {
  if (other.heads_ == 0) return;
  if (heads_ == 0) {
    *this = other;
    return;
  }
  rows_ += other.rows_;
  for (size_t i = 0; i < gram_.size(); ++i) gram_[i] += other.gram_[i];
  with_jensen_shannon_ &= other.with_jensen_shannon_;
  if (with_jensen_shannon_)
    for (size_t i = 0; i < jensen_shannon_.size(); ++i)
      jensen_shannon_[i] += other.jensen_shannon_[i];
}

HeadMatrix RowSimilaritySums::bhattacharyya(const std::vector<bool>& bad) const {
  HeadMatrix result(heads_, std::vector<double>(heads_, kNaN));
  for (int64_t h = 0; h < heads_; ++h)
    for (int64_t g = 0; g <= h; ++g) {
      if (bad[h] || bad[g] || rows_ == 0) continue;
      const double mean = gram_[h * heads_ + g] / static_cast<double>(rows_);
      result[h][g] = result[g][h] = h == g ? 1.0 : std::min(1.0, mean);
    }
  return result;
}

std::optional<HeadMatrix> RowSimilaritySums::jensen_shannon(const std::vector<bool>& bad) const {
  if (!with_jensen_shannon_) return std::nullopt;
  HeadMatrix result(heads_, std::vector<double>(heads_, kNaN));
  for (int64_t h = 0; h < heads_; ++h)
    for (int64_t g = 0; g <= h; ++g) {
      if (bad[h] || bad[g] || rows_ == 0) continue;
      const double mean = jensen_shannon_[h * heads_ + g] / static_cast<double>(rows_);
      result[h][g] = result[g][h] = h == g ? 0.0 : std::max(0.0, mean);
    }
  return result;
}

HeadMatrix hellinger_of(const HeadMatrix& bhattacharyya) {
  HeadMatrix result = bhattacharyya;
  for (size_t h = 0; h < result.size(); ++h)
    for (size_t g = 0; g < result.size(); ++g)
      if (!std::isnan(result[h][g]))
        result[h][g] = h == g ? 0 : std::sqrt(std::max(0.0, 1 - result[h][g]));
  return result;
}

}  // namespace headlight::heads
