// Compiled once per instruction set, as products.cpp.
#include "model/cpu/output_loss.h"

namespace headlight::model {
namespace {

#include "model/cpu/exponential.inl"
#include "model/cpu/tile.inl"

// A multiple of the panel and of a tile's rows.
constexpr int64_t kClassGroup = 3 * kPanel;
static_assert(kClassGroup % kTileRows == 0);

void output_logits(const float* x, const float* panels, const float* shift, int64_t rows,
                   int64_t depth, int64_t first, int64_t last, float* block, float* largest) {
  for (int64_t row = 0; row < rows; ++row) largest[row] = -__builtin_inff();
  for (int64_t column = first * kClassGroup; column < last * kClassGroup; column += kPanel) {
    const float* panel = panels + column * depth;
    const Vector shift_left = load(shift + column), shift_right = load(shift + column + kWidth);
    float* to = block + column / kClassGroup * rows * kClassGroup + column % kClassGroup;
    in_tiles(
        rows, [&]<int M>(int64_t row) __attribute__((always_inline)) {
          Tile<M> tile;
          tile.clear();
          tile.add(x + row * depth, depth, 1, panel, kPanel, depth);
#pragma GCC unroll 16
          for (int m = 0; m < M; ++m) {
            store(to + (row + m) * kClassGroup, tile.left[m] + shift_left);
            store(to + (row + m) * kClassGroup + kWidth, tile.right[m] + shift_right);
          }
        });
    if (column % kClassGroup != kClassGroup - kPanel) continue;
    const float* group = block + column / kClassGroup * rows * kClassGroup;
    for (int64_t row = 0; row < rows; ++row, group += kClassGroup) {
      Vector top = load(group);
      for (int64_t c = kWidth; c < kClassGroup; c += kWidth) {
        const Vector other = load(group + c);
        top = other > top ? other : top;
      }
      float lanes[kWidth];
      store(lanes, top);
      for (int64_t lane = 0; lane < kWidth; ++lane)
        largest[row] = lanes[lane] > largest[row] ? lanes[lane] : largest[row];
    }
  }
}

void output_exponentials(int64_t rows, const float* top, int64_t first, int64_t last, float* block,
                         float* sums) {
  for (int64_t row = 0; row < rows; ++row) sums[row] = 0;
  for (int64_t group = first; group < last; ++group) {
    float* numbers = block + group * rows * kClassGroup;
    for (int64_t row = 0; row < rows; ++row, numbers += kClassGroup) {
      for (int64_t c = 0; c < kClassGroup; ++c) numbers[c] = exponential(numbers[c] - top[row]);
      float lanes[kWidth] = {};
      for (int64_t c = 0; c < kClassGroup; c += kWidth)
        for (int64_t lane = 0; lane < kWidth; ++lane) lanes[lane] += numbers[c + lane];
      for (int64_t size = kWidth / 2; size >= 1; size /= 2)
        for (int64_t lane = 0; lane < size; ++lane) lanes[lane] += lanes[lane + size];
      sums[row] += lanes[0];
    }
  }
}

void output_weight_gradient(const float* block, const float* factors, const float* scaled_x,
                            int64_t rows, int64_t depth, int64_t classes, int64_t first,
                            int64_t last, float* grad_weight, float* grad_bias) {
  for (int64_t group = first; group < last; ++group) {
    const float* numbers = block + group * rows * kClassGroup;
    const int64_t begin = group * kClassGroup;
    const int64_t count = classes - begin < kClassGroup ? classes - begin : kClassGroup;
    float sums[kClassGroup] = {};
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < kClassGroup; ++c)
        sums[c] += numbers[row * kClassGroup + c] * factors[row];
    for (int64_t c = 0; c < count; ++c) grad_bias[begin + c] += sums[c];
    for (int64_t column = 0; column < depth; column += kPanel) {
      in_tiles(
          count, [&]<int M>(int64_t row) __attribute__((always_inline)) {
            Tile<M> tile;
            tile.clear();
            tile.add(numbers + row, 1, kClassGroup, scaled_x + column * rows, kPanel, rows);
            tile.add_to(grad_weight + (begin + row) * depth + column, depth, depth - column);
          });
    }
  }
}

void output_input_gradient(const float* block, const float* panels, int64_t rows, int64_t depth,
                           int64_t classes, int64_t first, int64_t last, float* grad_x) {
  constexpr int64_t kGroupsTogether =
      8;  // groups whose part of a panel stays in the first-level cache
  for (int64_t i = first * depth; i < last * depth; ++i) grad_x[i] = 0;
  const int64_t groups = (classes + kClassGroup - 1) / kClassGroup;
  for (int64_t begin = 0; begin < groups; begin += kGroupsTogether) {
    const int64_t end = groups - begin < kGroupsTogether ? groups : begin + kGroupsTogether;
    for (int64_t column = 0; column < depth; column += kPanel) {
      in_tiles(
          last - first, [&]<int M>(int64_t row) __attribute__((always_inline)) {
            Tile<M> tile;
            tile.clear();
            for (int64_t group = begin; group < end; ++group) {
              const int64_t left = classes - group * kClassGroup;
              tile.add(block + (group * rows + first + row) * kClassGroup, kClassGroup, 1,
                       panels + column * classes + group * kClassGroup * kPanel, kPanel,
                       left < kClassGroup ? left : kClassGroup);
            }
            tile.add_to(grad_x + (first + row) * depth + column, depth, depth - column);
          });
    }
  }
}

}  // namespace

namespace HEADLIGHT_MODEL_ISA {

extern const OutputLoss output_loss;
const OutputLoss output_loss = {kClassGroup, output_logits, output_exponentials,
                                output_weight_gradient, output_input_gradient};

}  // namespace HEADLIGHT_MODEL_ISA
}  // namespace headlight::model
