// The register tile of all matrix products here; included in an anonymous namespace, compiled per
// instruction set as kernels.cpp.
#if defined(__AVX512F__)
constexpr int kBytes = 64, kTileRows = 12;
#elif defined(__AVX2__)
constexpr int kBytes = 32, kTileRows = 6;
#else
constexpr int kBytes = 16, kTileRows = 4;
#endif
typedef float Vector __attribute__((vector_size(kBytes), aligned(4), may_alias));
constexpr int64_t kWidth = kBytes / 4, kPanel = 2 * kWidth;

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

template <int M>
struct Tile {
  Vector left[M], right[M];

  inline __attribute__((always_inline)) void clear() {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) left[m] = right[m] = Vector{};
  }

  // Adds the sum over k of a[m * row_step + k * depth_step] * b[k * b_step ... + kPanel] to row m.
  inline __attribute__((always_inline)) void add(const float* a, int64_t row_step,
                                                 int64_t depth_step, const float* b, int64_t b_step,
                                                 int64_t depth) {
    for (int64_t k = 0; k < depth; ++k, a += depth_step, b += b_step) {
      const Vector b_left = load(b), b_right = load(b + kWidth);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const Vector factor = a[m * row_step] - Vector{};  // in every lane
        left[m] += factor * b_left;
        right[m] += factor * b_right;
      }
    }
  }

  // Adds each row, or the first `columns` of it, to `to`, whose rows are `step` apart.
  inline __attribute__((always_inline)) void add_to(float* to, int64_t step,
                                                    int64_t columns) const {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m, to += step) {
      if (columns >= kPanel) {
        store(to, load(to) + left[m]);
        store(to + kWidth, load(to + kWidth) + right[m]);
      } else {
        float whole[kPanel];
        store(whole, left[m]);
        store(whole + kWidth, right[m]);
        for (int64_t column = 0; column < columns; ++column) to[column] += whole[column];
      }
    }
  }
};

// The next tile's height for that many rows left.
template <typename F>
inline __attribute__((always_inline)) void in_tiles(int64_t rows, F body) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) body.template operator()<kTileRows>(row);
  for (; row + 2 <= rows; row += 2) body.template operator()<2>(row);
  if (row < rows) body.template operator()<1>(row);
}
