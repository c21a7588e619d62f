// The loops that run once per attention weight, over rows in memory, for the machine's vectors.
// Sums of one call are made in a fixed order: results depend on the instruction set, not on
// threads.
#pragma once

#include <cstdint>

namespace headlight::heads {

inline constexpr int64_t kKeyPanel = 16;  // keys that one panel of packed keys holds

struct ExponentialSums {
  double l = 0, w = 0;
};

struct RowKernels {
  // scores[r * stride + j] = scale * <q_r, k_j> for r < rows and the keys of panels first_panel up
  // to end_panel; panels hold [key / 16][dim][16].
  void (*scores)(const float* q, int64_t q_stride, int64_t rows, const float* panels, int64_t dim,
                 int64_t first_panel, int64_t end_panel, float scale, float* scores,
                 int64_t stride);
  // The largest of n scores, NaN left out; -inf for none.
  float (*top_score)(const float* s, int64_t n);
  // l = sum exp(s_j - shift), w = sum exp(s_j - shift) (s_j - shift); -inf adds nothing.
  void (*exponential_sums)(const float* s, int64_t n, double shift, ExponentialSums* sums);
  // Both of these, and the same with weights: l = sum n_j e_j, w = sum n_j e_j (s_j - shift + ln
  // n_j).
  void (*weighted_exponential_sums)(const float* s, const double* weight, const double* log_weight,
                                    int64_t n, double shift, ExponentialSums* plain,
                                    ExponentialSums* weighted);
  // p_j = exp(s_j - lse)
  void (*probabilities)(const float* s, int64_t n, double lse, double* p);
  double (*max_of)(const double* p, int64_t n);
  double (*sum_of)(const double* p, int64_t n);
  double (*dot)(const double* x, const double* y, int64_t n);
  double (*negative_entropy)(const double* p, int64_t n);  // sum p ln p
  // sum m ln m with m = (p + q) / 2
  double (*mixture_negative_entropy)(const double* p, const double* q, int64_t n);
  void (*add)(double* sum, const double* p, int64_t n);
  void (*add_scaled)(double* sum, const double* p, double factor, int64_t n);
  // sums of p and of t p at once
  void (*add_and_add_scaled)(double* plain, double* scaled, const double* p, double t, int64_t n);
  void (*multiply)(double* out, const double* p, const double* weight, double factor, int64_t n);
  // out[r * out_stride + c] = sum_j p[r * p_stride + j] v[j * v_stride + c], r < rows, c < width
  void (*weighted_values)(const double* p, int64_t p_stride, int64_t rows, const float* v,
                          int64_t v_stride, int64_t n, int64_t width, double* out,
                          int64_t out_stride);
  // gram[h * heads + g] += sum_c sqrt(p_h,c) sqrt(p_g,c) for g <= h; rows of p are `stride` apart.
  // `workspace` holds heads * kGramChunk doubles.
  void (*root_gram)(const double* p, int64_t stride, int64_t heads, int64_t n, double* gram,
                    double* workspace);
};

inline constexpr int64_t kGramChunk = 256;

// For the instruction set that attention runs on (HEADLIGHT_ISA).
const RowKernels& row_kernels();

}  // namespace headlight::heads
