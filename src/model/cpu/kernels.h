// What the model computes row by row besides matrix products and attention, for one thread. Each
// kernel is written once in kernels.cpp and compiled per instruction set; kernels() returns the
// table for the set that attention_isa() names.
//
// Rows are contiguous, [rows, width]; T is float or double. Nothing here allocates.
#pragma once

#include <cstdint>

namespace headlight::model {

// g = gradient * clip; first += rest1 * (g - first); second = beta2 * second + rest2 * g * g;
// p = p * keep - step_size * first / (sqrt(second) * second_scale + epsilon).
template <typename T>
struct AdamFactors {
  T clip, rest1, beta2, rest2, keep, step_size, second_scale, epsilon;
};

template <typename T>
struct Kernels {
  // out = (x - mean) * inverse * gain + shift with the mean and 1/sqrt(variance + epsilon) of each
  // row, which are kept for the backward pass. RMS norm: centered is false, the mean counts as 0.
  // shift may be null.
  void (*norm)(const T* x, const T* gain, const T* shift, bool centered, T epsilon, int64_t rows,
               int64_t width, T* out, T* mean, T* inverse);
  // Writes grad_x and adds to grad_gain and grad_shift (may be null) of width elements.
  void (*norm_backward)(const T* grad, const T* x, const T* gain, const T* mean, const T* inverse,
                        bool centered, int64_t rows, int64_t width, T* grad_x, T* grad_gain,
                        T* grad_shift);

  // out = residual + dropout(branch) for elements [begin, end) of the whole; an element is dropped
  // if its random 32 bits are below the threshold, else multiplied by scale.
  void (*add_dropped)(const T* residual, const T* branch, int64_t begin, int64_t end, uint64_t seed,
                      uint32_t threshold, T scale, T* out);
  // out = dropout(x) with the same mask.
  void (*dropped)(const T* x, int64_t begin, int64_t end, uint64_t seed, uint32_t threshold,
                  T scale, T* out);

  // Cross entropy in nats of each row's softmax against its label, of which `smoothing` is spread
  // over all classes; a label below 0 gives 0. Writes
  // the gradient of (sum of nats) * scale over the logits (may be the logits' own memory, or null)
  // and, if largest is not null, the place of the largest logit (the first of equals).
  void (*cross_entropy)(const T* logits, const int64_t* labels, int64_t rows, int64_t classes,
                        T scale, T smoothing, T* grad, double* nats, int64_t* largest);

  // out row i = table[tokens[i]] + positions[i % length] for i in [begin, end); positions may be
  // null.
  void (*embed)(const int64_t* tokens, const T* table, const T* positions, int64_t length,
                int64_t width, int64_t begin, int64_t end, T* out);
  // Adds columns [begin, end) of grad's rows to the rows of the table and of the positions (may be
  // null) that they came from.
  void (*embed_backward)(const int64_t* tokens, int64_t count, const T* grad, int64_t length,
                         int64_t width, int64_t begin, int64_t end, T* grad_table,
                         T* grad_positions);

  double (*sum_of_squares)(const T* x, int64_t count);
  // p and the moments of Adam, in place; see AdamFactors.
  void (*adam)(T* p, const T* gradient, T* first, T* second, int64_t count,
               const AdamFactors<T>& factors);
};

template <typename T>
const Kernels<T>& kernels();

}  // namespace headlight::model
