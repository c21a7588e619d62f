// Compiled once per instruction set, as kernels.cpp, with contraction of a * b + c into FMA.
#include "model/cpu/products.h"

namespace headlight::model {
namespace {

#include "model/cpu/tile.inl"

// Rows of x that stay in the first-level cache while all panels pass by.
constexpr int64_t kRowBlock = 96;
// The weight's gradient: so many rows of dy and x at a time, and columns of dy. They are copied, in
// groups that a whole number of tiles fills, since rows that are far apart fall into the same few
// places of the first-level cache.
constexpr int64_t kGradientRows = 128, kGradientGroup = 3 * kWidth,
                  kGradientColumns = 4 * kGradientGroup;
static_assert(kGradientGroup % kTileRows == 0);

void pack_transposed(const float* w, int64_t depth, int64_t width, float* panels) {
  for (int64_t first = 0; first < width; first += kPanel, panels += depth * kPanel)
    for (int64_t column = 0; column < kPanel; ++column) {
      const bool inside = first + column < width;
      const float* row = w + (first + column) * depth;
      for (int64_t k = 0; k < depth; ++k) panels[k * kPanel + column] = inside ? row[k] : 0.0f;
    }
}

// Columns of `depth` rows that are `step` apart, side by side and filled up with zeros to N.
template <int64_t N>
inline void pack_columns(const float* from, int64_t step, int64_t depth, int64_t columns,
                         float* to) {
  for (int64_t k = 0; k < depth; ++k, from += step, to += N) {
    if (columns >= N)
      for (int64_t c = 0; c < N; c += kWidth) store(to + c, load(from + c));
    else
      for (int64_t c = 0; c < N; ++c) to[c] = c < columns ? from[c] : 0.0f;
  }
}

void pack(const float* w, int64_t depth, int64_t width, float* panels) {
  for (int64_t first = 0; first < width; first += kPanel, panels += depth * kPanel)
    pack_columns<kPanel>(w + first, width, depth, width - first, panels);
}

void multiply(const float* x, const float* panels, const float* bias, bool relu, int64_t rows,
              int64_t depth, int64_t width, float* out) {
  for (int64_t block = 0; block < rows; block += kRowBlock) {
    const int64_t count = rows - block < kRowBlock ? rows - block : kRowBlock;
    for (int64_t first = 0; first < width; first += kPanel) {
      const int64_t columns = width - first < kPanel ? width - first : kPanel;
      float shift[kPanel] = {};
      if (bias)
        for (int64_t column = 0; column < columns; ++column) shift[column] = bias[first + column];
      const Vector shift_left = load(shift), shift_right = load(shift + kWidth);
      const float* panel = panels + first * depth;
      in_tiles(
          count, [&]<int M>(int64_t row) __attribute__((always_inline)) {
            Tile<M> tile;
            tile.clear();
            tile.add(x + (block + row) * depth, depth, 1, panel, kPanel, depth);
#pragma GCC unroll 16
            for (int m = 0; m < M; ++m) {
              Vector left = tile.left[m] + shift_left, right = tile.right[m] + shift_right;
              if (relu) {  // a NaN stays
                left = left < 0.0f ? Vector{} : left;
                right = right < 0.0f ? Vector{} : right;
              }
              float* to = out + (block + row + m) * width + first;
              if (columns == kPanel) {
                store(to, left);
                store(to + kWidth, right);
              } else {
                float whole[kPanel];
                store(whole, left);
                store(whole + kWidth, right);
                for (int64_t column = 0; column < columns; ++column) to[column] = whole[column];
              }
            }
          });
    }
  }
}

void weight_gradient(const float* dy, const float* x, int64_t rows, int64_t out, int64_t in,
                     int64_t first, int64_t last, float* grad_weight, float* grad_bias) {
  for (int64_t i = first * in; i < last * in; ++i) grad_weight[i] = 0;
  if (grad_bias)
    for (int64_t i = first; i < last; ++i) grad_bias[i] = 0;
  alignas(64) float dy_part[kGradientColumns * kGradientRows], x_part[kPanel * kGradientRows];
  for (int64_t block = 0; block < rows; block += kGradientRows) {
    const int64_t depth = rows - block < kGradientRows ? rows - block : kGradientRows;
    for (int64_t part = first; part < last; part += kGradientColumns) {
      const int64_t count = last - part < kGradientColumns ? last - part : kGradientColumns;
      for (int64_t group = 0; group < count; group += kGradientGroup) {
        float* to = dy_part + group * kGradientRows;
        pack_columns<kGradientGroup>(dy + block * out + part + group, out, depth, count - group,
                                     to);
        if (!grad_bias) continue;
        float sums[kGradientGroup] = {};
        for (int64_t k = 0; k < depth; ++k, to += kGradientGroup)
          for (int64_t i = 0; i < kGradientGroup; ++i) sums[i] += to[i];
        for (int64_t i = 0; i < kGradientGroup && group + i < count; ++i)
          grad_bias[part + group + i] += sums[i];
      }
      for (int64_t column = 0; column < in; column += kPanel) {
        pack_columns<kPanel>(x + block * in + column, in, depth, in - column, x_part);
        in_tiles(
            count, [&]<int M>(int64_t row) __attribute__((always_inline)) {
              Tile<M> tile;
              tile.clear();
              tile.add(dy_part + row / kGradientGroup * (kGradientGroup * kGradientRows) +
                           row % kGradientGroup,
                       1, kGradientGroup, x_part, kPanel, depth);
              tile.add_to(grad_weight + (part + row) * in + column, in, in - column);
            });
      }
    }
  }
}

}  // namespace

namespace HEADLIGHT_MODEL_ISA {

extern const Products float_products;
const Products float_products = {kPanel, pack_transposed, pack, multiply, weight_gradient};

}  // namespace HEADLIGHT_MODEL_ISA
}  // namespace headlight::model
