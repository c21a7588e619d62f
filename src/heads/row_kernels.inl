// Bodies of the row kernels over four doubles or eight floats. Included once per instruction set;
// nothing here is shared between them.

typedef double D4 __attribute__((vector_size(32)));
typedef int64_t L4 __attribute__((vector_size(32)));
typedef float F4 __attribute__((vector_size(16)));
typedef float F8 __attribute__((vector_size(32)));

#define HEADLIGHT_INLINE HEADLIGHT_TARGET inline __attribute__((always_inline))

template <typename V, typename T>
HEADLIGHT_INLINE V load(const T* from) {
  V value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

template <typename V, typename T>
HEADLIGHT_INLINE void store(T* to, V value) {
  __builtin_memcpy(to, &value, sizeof value);
}

// The first n < 4 elements, then `fill`.
template <typename T>
HEADLIGHT_INLINE D4 load_some(const T* from, int64_t n, double fill) {
  D4 value = {fill, fill, fill, fill};
  for (int64_t i = 0; i < n; ++i) value[i] = from[i];
  return value;
}

HEADLIGHT_INLINE double sum_lanes(D4 x) { return (x[0] + x[2]) + (x[1] + x[3]); }

HEADLIGHT_INLINE D4 splat(double x) { return D4{x, x, x, x}; }

// exp(x) for x below 700, relative error under 1e-14; 0 below -708; NaN stays.
HEADLIGHT_INLINE D4 exponential(D4 x) {
  const D4 lowest = splat(-708.0);
  const L4 gone = x < lowest;
  const D4 clamped = gone ? lowest : x;
  const double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number
  const D4 shifted = clamped * 1.4426950408889634 + magic;
  const D4 n = shifted - magic;
  const D4 r = (clamped - n * 0.6931471803691238) - n * 1.9082149292705877e-10;
  D4 p = splat(2.505210838544172e-8);  // 1/11!, … 1/0!
  p = p * r + 2.755731922398589e-7;
  p = p * r + 2.7557319223985893e-6;
  p = p * r + 2.48015873015873e-5;
  p = p * r + 1.984126984126984e-4;
  p = p * r + 1.3888888888888889e-3;
  p = p * r + 8.333333333333333e-3;
  p = p * r + 4.1666666666666664e-2;
  p = p * r + 1.6666666666666666e-1;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const D4 scaled = (D4)((L4)p + ((L4)shifted << 52));
  // A NaN in x reaches n and p; the integer addition could turn it into a number.
  return gone ? splat(0) : (x == x ? scaled : x);
}

// x ln x, relative error of the logarithm about 1e-16 away from 1; 0 for x below 1e-300.
HEADLIGHT_INLINE D4 x_log_x(D4 x) {
  const L4 gone = x < splat(1e-300);
  const D4 safe = gone ? splat(1) : x;
  const L4 bits = (L4)safe;
  const int64_t root_half = 0x3fe6a09e667f3bcd;
  const L4 offset = bits - root_half;
  const L4 exponent = offset >> 52;
  const D4 m = (D4)(bits - (exponent << 52));  // in [sqrt(1/2), sqrt(2))
  const D4 f = (m - 1.0) / (m + 1.0);
  const D4 f2 = f * f;
  D4 p = splat(2.0 / 19);
  p = p * f2 + 2.0 / 17;
  p = p * f2 + 2.0 / 15;
  p = p * f2 + 2.0 / 13;
  p = p * f2 + 2.0 / 11;
  p = p * f2 + 2.0 / 9;
  p = p * f2 + 2.0 / 7;
  p = p * f2 + 2.0 / 5;
  p = p * f2 + 2.0 / 3;
  p = p * f2 + 2.0;
  const D4 log = __builtin_convertvector(exponent, D4) * 0.6931471805599453 + p * f;
  return gone ? splat(0) : safe * log;
}

template <int kRows>
HEADLIGHT_INLINE void scores_of_panel(const float* q, int64_t q_stride, const float* panel,
                                      int64_t dim, float scale, float* scores, int64_t stride) {
  F8 low[kRows] = {}, high[kRows] = {};
  for (int64_t a = 0; a < dim; ++a) {
    const F8 k_low = load<F8>(panel + a * kKeyPanel);
    const F8 k_high = load<F8>(panel + a * kKeyPanel + 8);
    for (int r = 0; r < kRows; ++r) {
      const float x = q[r * q_stride + a];
      low[r] += k_low * x;
      high[r] += k_high * x;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    store(scores + r * stride, low[r] * scale);
    store(scores + r * stride + 8, high[r] * scale);
  }
}

HEADLIGHT_TARGET static void scores(const float* q, int64_t q_stride, int64_t rows,
                                    const float* panels, int64_t dim, int64_t first_panel,
                                    int64_t end_panel, float scale, float* out, int64_t stride) {
  for (int64_t panel = first_panel; panel < end_panel; ++panel) {
    const float* k = panels + panel * kKeyPanel * dim;
    float* to = out + panel * kKeyPanel;
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
      scores_of_panel<4>(q + r * q_stride, q_stride, k, dim, scale, to + r * stride, stride);
    for (; r < rows; ++r)
      scores_of_panel<1>(q + r * q_stride, q_stride, k, dim, scale, to + r * stride, stride);
  }
}

HEADLIGHT_INLINE D4 widen(const float* s) { return __builtin_convertvector(load<F4>(s), D4); }

HEADLIGHT_TARGET static float top_score(const float* s, int64_t n) {
  const float lowest = -__builtin_inff();
  F8 top = F8{} + lowest;
  int64_t j = 0;
  for (; j + 8 <= n; j += 8) {
    const F8 x = load<F8>(s + j);
    top = x > top ? x : top;
  }
  float best = lowest;
  for (int i = 0; i < 8; ++i) best = top[i] > best ? top[i] : best;
  for (; j < n; ++j) best = s[j] > best ? s[j] : best;
  return best;
}

HEADLIGHT_TARGET static void exponential_sums(const float* s, int64_t n, double shift,
                                              ExponentialSums* sums) {
  D4 l = {}, w = {};
  const auto add = [&](D4 score) __attribute__((always_inline)) HEADLIGHT_TARGET {
    D4 x = score - shift;
    const D4 e = exponential(x);
    x = x < splat(-708.0) ? splat(0) : x;
    l += e;
    w += e * x;
  };
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) add(widen(s + j));
  if (j < n) add(load_some(s + j, n - j, -__builtin_inf()));
  *sums = {sum_lanes(l), sum_lanes(w)};
}

HEADLIGHT_TARGET static void weighted_exponential_sums(const float* s, const double* weight,
                                                       const double* log_weight, int64_t n,
                                                       double shift, ExponentialSums* plain,
                                                       ExponentialSums* weighted) {
  D4 l = {}, w = {}, weighted_l = {}, weighted_w = {};
  const auto add = [&](D4 score, D4 factor, D4 log) __attribute__((always_inline))
  HEADLIGHT_TARGET {
    D4 x = score - shift;
    const D4 e = exponential(x), scaled = e * factor;
    const L4 gone = x < splat(-708.0);
    x = gone ? splat(0) : x;
    log = gone ? splat(0) : log;
    l += e;
    w += e * x;
    weighted_l += scaled;
    weighted_w += scaled * (x + log);
  };
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) add(widen(s + j), load<D4>(weight + j), load<D4>(log_weight + j));
  if (j < n)
    add(load_some(s + j, n - j, -__builtin_inf()), load_some(weight + j, n - j, 0),
        load_some(log_weight + j, n - j, 0));
  *plain = {sum_lanes(l), sum_lanes(w)};
  *weighted = {sum_lanes(weighted_l), sum_lanes(weighted_w)};
}

HEADLIGHT_TARGET static void probabilities(const float* s, int64_t n, double lse, double* p) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) store(p + j, exponential(widen(s + j) - lse));
  if (j < n) {
    const D4 rest = exponential(load_some(s + j, n - j, 0.0) - lse);
    for (int64_t i = 0; j + i < n; ++i) p[j + i] = rest[i];
  }
}

HEADLIGHT_TARGET static double max_of(const double* p, int64_t n) {
  D4 top = splat(-__builtin_inf());
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const D4 x = load<D4>(p + j);
    top = x > top ? x : top;
  }
  double best = -__builtin_inf();
  for (int i = 0; i < 4; ++i) best = top[i] > best ? top[i] : best;
  for (; j < n; ++j) best = p[j] > best ? p[j] : best;
  return best;
}

HEADLIGHT_TARGET static double sum_of(const double* p, int64_t n) {
  D4 sum = {};
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) sum += load<D4>(p + j);
  double rest = 0;
  for (; j < n; ++j) rest += p[j];
  return sum_lanes(sum) + rest;
}

HEADLIGHT_TARGET static double dot(const double* x, const double* y, int64_t n) {
  D4 first = {}, second = {};
  int64_t j = 0;
  for (; j + 8 <= n; j += 8) {
    first += load<D4>(x + j) * load<D4>(y + j);
    second += load<D4>(x + j + 4) * load<D4>(y + j + 4);
  }
  double rest = 0;
  for (; j < n; ++j) rest += x[j] * y[j];
  return sum_lanes(first + second) + rest;
}

HEADLIGHT_TARGET static double negative_entropy(const double* p, int64_t n) {
  D4 sum = {};
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) sum += x_log_x(load<D4>(p + j));
  if (j < n) sum += x_log_x(load_some(p + j, n - j, 0));
  return sum_lanes(sum);
}

HEADLIGHT_TARGET static double mixture_negative_entropy(const double* p, const double* q,
                                                        int64_t n) {
  D4 sum = {};
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) sum += x_log_x((load<D4>(p + j) + load<D4>(q + j)) * 0.5);
  if (j < n) sum += x_log_x((load_some(p + j, n - j, 0) + load_some(q + j, n - j, 0)) * 0.5);
  return sum_lanes(sum);
}

HEADLIGHT_TARGET static void add(double* sum, const double* p, int64_t n) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) store(sum + j, load<D4>(sum + j) + load<D4>(p + j));
  for (; j < n; ++j) sum[j] += p[j];
}

HEADLIGHT_TARGET static void add_scaled(double* sum, const double* p, double factor, int64_t n) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) store(sum + j, load<D4>(sum + j) + load<D4>(p + j) * factor);
  for (; j < n; ++j) sum[j] += p[j] * factor;
}

HEADLIGHT_TARGET static void add_and_add_scaled(double* plain, double* scaled, const double* p,
                                                double t, int64_t n) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const D4 x = load<D4>(p + j);
    store(plain + j, load<D4>(plain + j) + x);
    store(scaled + j, load<D4>(scaled + j) + x * t);
  }
  for (; j < n; ++j) {
    plain[j] += p[j];
    scaled[j] += p[j] * t;
  }
}

HEADLIGHT_TARGET static void multiply(double* out, const double* p, const double* weight,
                                      double factor, int64_t n) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) store(out + j, load<D4>(p + j) * load<D4>(weight + j) * factor);
  for (; j < n; ++j) out[j] = p[j] * weight[j] * factor;
}

// Adds to out where `more`, else writes it.
template <int kRows, int kWide>
HEADLIGHT_INLINE void weighted_block(const double* p, int64_t p_stride, const float* v,
                                     int64_t v_stride, int64_t n, bool more, double* out,
                                     int64_t out_stride) {
  D4 sum[kRows][kWide] = {};
  if (more)
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kWide; ++c) sum[r][c] = load<D4>(out + r * out_stride + 4 * c);
  for (int64_t j = 0; j < n; ++j) {
    D4 value[kWide];
    for (int c = 0; c < kWide; ++c) value[c] = widen(v + j * v_stride + 4 * c);
    for (int r = 0; r < kRows; ++r) {
      const double x = p[r * p_stride + j];
      for (int c = 0; c < kWide; ++c) sum[r][c] += value[c] * x;
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kWide; ++c) store(out + r * out_stride + 4 * c, sum[r][c]);
}

HEADLIGHT_TARGET static void weighted_values(const double* p, int64_t p_stride, int64_t rows,
                                             const float* v, int64_t v_stride, int64_t n,
                                             int64_t width, double* out, int64_t out_stride) {
  // So many keys at a time that their values stay near while all rows read them.
  const int64_t block = 512;
  for (int64_t start = 0; start == 0 || start < n; start += block) {
    const int64_t size = n - start < block ? n - start : block;
    const float* values = v + start * v_stride;
    for (int64_t r = 0; r < rows; r += rows - r >= 4 ? 4 : 1) {
      const double* pr = p + r * p_stride + start;
      double* to = out + r * out_stride;
      const bool four = rows - r >= 4;
      int64_t c = 0;
      for (; c + 8 <= width; c += 8) {
        if (four)
          weighted_block<4, 2>(pr, p_stride, values + c, v_stride, size, start > 0, to + c,
                               out_stride);
        else
          weighted_block<1, 2>(pr, p_stride, values + c, v_stride, size, start > 0, to + c,
                               out_stride);
      }
      for (; c < width; ++c)
        for (int64_t i = 0; i < (four ? 4 : 1); ++i) {
          double sum = start > 0 ? to[i * out_stride + c] : 0;
          for (int64_t j = 0; j < size; ++j)
            sum += pr[i * p_stride + j] * static_cast<double>(values[j * v_stride + c]);
          to[i * out_stride + c] = sum;
        }
    }
  }
}

// gram of kA rows from a and kB rows from b over n columns, n a multiple of 4.
template <int kA, int kB>
HEADLIGHT_INLINE void gram_block(const double* a, const double* b, int64_t n, double* gram,
                                 int64_t heads) {
  D4 sum[kA][kB] = {};
  for (int64_t j = 0; j < n; j += 4) {
    D4 y[kB];
    for (int g = 0; g < kB; ++g) y[g] = load<D4>(b + g * kGramChunk + j);
    for (int h = 0; h < kA; ++h) {
      const D4 x = load<D4>(a + h * kGramChunk + j);
      for (int g = 0; g < kB; ++g) sum[h][g] += x * y[g];
    }
  }
  for (int h = 0; h < kA; ++h)
    for (int g = 0; g < kB; ++g) gram[h * heads + g] += sum_lanes(sum[h][g]);
}

HEADLIGHT_TARGET static void root_gram(const double* p, int64_t stride, int64_t heads, int64_t n,
                                       double* gram, double* workspace) {
  for (int64_t start = 0; start < n; start += kGramChunk) {
    const int64_t size = n - start < kGramChunk ? n - start : kGramChunk;
    const int64_t padded = (size + 3) / 4 * 4;
    for (int64_t h = 0; h < heads; ++h) {
      double* root = workspace + h * kGramChunk;
      const double* from = p + h * stride + start;
      for (int64_t j = 0; j < size; ++j) root[j] = __builtin_sqrt(from[j]);
      for (int64_t j = size; j < padded; ++j) root[j] = 0;
    }
    for (int64_t h = 0; h < heads; h += 4)
      for (int64_t g = 0; g < h + 4 && g < heads; g += 2) {
        const double* a = workspace + h * kGramChunk;
        const double* b = workspace + g * kGramChunk;
        double* to = gram + h * heads + g;
        const int64_t rows = heads - h < 4 ? heads - h : 4;
        // Blocks of 4 x 2 may run past the diagonal inside the matrix; only g <= h is read later.
        if (rows == 4 && g + 2 <= heads)
          gram_block<4, 2>(a, b, padded, to, heads);
        else
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t k = 0; k < 2 && g + k < heads; ++k)
              gram_block<1, 1>(a + i * kGramChunk, b + k * kGramChunk, padded, to + i * heads + k,
                               heads);
      }
  }
}

#undef HEADLIGHT_INLINE

static constexpr RowKernels kernels = {scores,
                                       top_score,
                                       exponential_sums,
                                       weighted_exponential_sums,
                                       probabilities,
                                       max_of,
                                       sum_of,
                                       dot,
                                       negative_entropy,
                                       mixture_negative_entropy,
                                       add,
                                       add_scaled,
                                       add_and_add_scaled,
                                       multiply,
                                       weighted_values,
                                       root_gram};
