// Compiled once per instruction set, with HEADLIGHT_MODEL_ISA naming the table. Plain loops over
// fixed groups of lanes that the compiler turns into vectors, so every set computes the same bits.
// No header with inline functions may be included here: the linker would keep one copy of each for
// all instruction sets.
#include "model/cpu/kernels.h"

namespace headlight::model {
namespace {

constexpr int64_t kLanes = 16;

template <typename T>
inline T lane_sum(const T* lanes) {
  T half[kLanes / 2];
  for (int64_t l = 0; l < kLanes / 2; ++l) half[l] = lanes[l] + lanes[l + kLanes / 2];
  for (int64_t size = kLanes / 4; size >= 1; size /= 2)
    for (int64_t l = 0; l < size; ++l) half[l] += half[l + size];
  return half[0];
}

// Sum of term(i) for i in [0, width), in an order that depends on width alone.
template <typename T, typename F>
inline T sum_of(int64_t width, F term) {
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += term(i + l);
  for (int64_t l = 0; i < width; ++i, ++l) lanes[l] += term(i);
  return lane_sum(lanes);
}

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

#include "model/cpu/exponential.inl"
inline double exponential(double x) { return __builtin_exp(x); }

template <typename T>
void norm(const T* x, const T* gain, const T* shift, bool centered, T epsilon, int64_t rows,
          int64_t width, T* out, T* mean, T* inverse) {
  for (int64_t row = 0; row < rows; ++row, x += width, out += width) {
    const T center = centered ? sum_of<T>(width, [x](int64_t i) { return x[i]; }) / T(width) : T(0);
    const T variance =
        sum_of<T>(width, [x, center](int64_t i) { return (x[i] - center) * (x[i] - center); }) /
        T(width);
    const T factor = T(1) / square_root(variance + epsilon);
    mean[row] = center;
    inverse[row] = factor;
    if (shift)
      for (int64_t i = 0; i < width; ++i) out[i] = (x[i] - center) * factor * gain[i] + shift[i];
    else
      for (int64_t i = 0; i < width; ++i) out[i] = (x[i] - center) * factor * gain[i];
  }
}

template <typename T>
void norm_backward(const T* grad, const T* x, const T* gain, const T* mean, const T* inverse,
                   bool centered, int64_t rows, int64_t width, T* grad_x, T* grad_gain,
                   T* grad_shift) {
  for (int64_t row = 0; row < rows; ++row, grad += width, x += width, grad_x += width) {
    const T center = mean[row], factor = inverse[row];
    // With n = (x - center) * factor and h = grad * gain:
    // grad_x = (h - n * average(h n) - average(h) if centered) * factor.
    const T along =
        sum_of<T>(width,
                  [=](int64_t i) { return grad[i] * gain[i] * ((x[i] - center) * factor); }) /
        T(width);
    const T level =
        centered ? sum_of<T>(width, [=](int64_t i) { return grad[i] * gain[i]; }) / T(width) : T(0);
    for (int64_t i = 0; i < width; ++i) {
      const T n = (x[i] - center) * factor;
      grad_x[i] = (grad[i] * gain[i] - n * along - level) * factor;
      grad_gain[i] += grad[i] * n;
    }
    if (grad_shift)
      for (int64_t i = 0; i < width; ++i) grad_shift[i] += grad[i];
  }
}

// 32 random bits of one element: lowbias32 (Wellons) with a second key between its rounds.
inline uint32_t random_bits(uint32_t index, uint32_t key, uint32_t second_key) {
  uint32_t x = index + key;
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x += second_key;
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

template <typename T, typename F>
inline void each_kept(int64_t begin, int64_t end, uint64_t seed, uint32_t threshold, T scale,
                      F store) {
  const auto key = static_cast<uint32_t>(seed), second_key = static_cast<uint32_t>(seed >> 32);
  for (int64_t i = begin; i < end; ++i) {
    const uint32_t bits = random_bits(static_cast<uint32_t>(i), key, second_key);
    store(i, bits < threshold ? T(0) : scale);
  }
}

template <typename T>
void add_dropped(const T* residual, const T* branch, int64_t begin, int64_t end, uint64_t seed,
                 uint32_t threshold, T scale, T* __restrict out) {
  each_kept(begin, end, seed, threshold, scale,
            [=](int64_t i, T factor) { out[i] = residual[i] + branch[i] * factor; });
}

template <typename T>
void dropped(const T* x, int64_t begin, int64_t end, uint64_t seed, uint32_t threshold, T scale,
             T* __restrict out) {
  each_kept(begin, end, seed, threshold, scale,
            [=](int64_t i, T factor) { out[i] = x[i] * factor; });
}

template <typename T>
void cross_entropy(const T* logits, const int64_t* labels, int64_t rows, int64_t classes, T scale,
                   T smoothing, T* grad, double* nats, int64_t* largest) {
  const T spread = smoothing / static_cast<T>(classes);
  for (int64_t row = 0; row < rows; ++row, logits += classes) {
    T* const grad_row = grad ? grad + row * classes : nullptr;
    // The largest of the lanes; NaN loses every comparison here and comes back through the sum.
    T lanes[kLanes];
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = logits[0];
    int64_t i = 0;
    for (; i + kLanes <= classes; i += kLanes)
      for (int64_t l = 0; l < kLanes; ++l)
        lanes[l] = logits[i + l] > lanes[l] ? logits[i + l] : lanes[l];
    T top = lanes[0];
    for (int64_t l = 1; l < kLanes; ++l) top = lanes[l] > top ? lanes[l] : top;
    for (; i < classes; ++i) top = logits[i] > top ? logits[i] : top;
    if (largest) {
      int64_t place = 0;
      while (place + 1 < classes && !(logits[place] == top)) ++place;
      largest[row] = place;
    }

    const int64_t label = labels[row];
    if (label < 0) {
      nats[row] = 0;
      if (grad_row)
        for (int64_t c = 0; c < classes; ++c) grad_row[c] = 0;
      continue;
    }
    T wanted = logits[label] - top;  // the mean of the logits under the target distribution
    if (smoothing > 0)
      wanted = (1 - smoothing) * wanted +
               spread * sum_of<T>(classes, [=](int64_t c) { return logits[c] - top; });
    T total;
    if (grad_row) {
      for (int64_t c = 0; c < classes; ++c) grad_row[c] = exponential(logits[c] - top);
      total = sum_of<T>(classes, [=](int64_t c) { return grad_row[c]; });
      const T factor = scale / total;
      if (smoothing > 0) {
        const T everywhere = scale * spread;
        for (int64_t c = 0; c < classes; ++c) grad_row[c] = grad_row[c] * factor - everywhere;
      } else {
        for (int64_t c = 0; c < classes; ++c) grad_row[c] *= factor;
      }
      grad_row[label] -= scale * (1 - smoothing);
    } else {
      total = sum_of<T>(classes, [=](int64_t c) { return exponential(logits[c] - top); });
    }
    nats[row] = __builtin_log(static_cast<double>(total)) - static_cast<double>(wanted);
  }
}

template <typename T>
void embed(const int64_t* tokens, const T* table, const T* positions, int64_t length, int64_t width,
           int64_t begin, int64_t end, T* __restrict out) {
  for (int64_t i = begin; i < end; ++i) {
    const T* row = table + tokens[i] * width;
    T* to = out + i * width;
    if (positions) {
      const T* place = positions + i % length * width;
      for (int64_t c = 0; c < width; ++c) to[c] = row[c] + place[c];
    } else {
      for (int64_t c = 0; c < width; ++c) to[c] = row[c];
    }
  }
}

template <typename T>
void embed_backward(const int64_t* tokens, int64_t count, const T* grad, int64_t length,
                    int64_t width, int64_t begin, int64_t end, T* __restrict grad_table,
                    T* __restrict grad_positions) {
  for (int64_t i = 0; i < count; ++i, grad += width) {
    T* row = grad_table + tokens[i] * width;
    for (int64_t c = begin; c < end; ++c) row[c] += grad[c];
    if (!grad_positions) continue;
    T* place = grad_positions + i % length * width;
    for (int64_t c = begin; c < end; ++c) place[c] += grad[c];
  }
}

template <typename T>
double sum_of_squares(const T* x, int64_t count) {
  return sum_of<double>(
      count, [x](int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); });
}

template <typename T>
void adam(T* __restrict p, const T* __restrict gradient, T* __restrict first, T* __restrict second,
          int64_t count, const AdamFactors<T>& factors) {
  const AdamFactors<T> f = factors;
  for (int64_t i = 0; i < count; ++i) {
    const T g = gradient[i] * f.clip;
    first[i] = first[i] + f.rest1 * (g - first[i]);
    second[i] = f.beta2 * second[i] + f.rest2 * g * g;
    p[i] = p[i] * f.keep -
           f.step_size * first[i] / (square_root(second[i]) * f.second_scale + f.epsilon);
  }
}

template <typename T>
constexpr Kernels<T> table = {norm<T>,           norm_backward<T>,  add_dropped<T>,
                              dropped<T>,        cross_entropy<T>,  embed<T>,
                              embed_backward<T>, sum_of_squares<T>, adam<T>};

}  // namespace

namespace HEADLIGHT_MODEL_ISA {

extern const Kernels<float> float_kernels;
extern const Kernels<double> double_kernels;
const Kernels<float> float_kernels = table<float>;
const Kernels<double> double_kernels = table<double>;

}  // namespace HEADLIGHT_MODEL_ISA
}  // namespace headlight::model
