// The gradient of an additive bias is that of the scores, summed over what the bias repeats. It
// makes the scores once more, tile by tile, so that sums over heads and sequences keep one order.
#pragma once

#include "attention/cpu/backward.inl"

namespace headlight::attention {
namespace {

// Workspace: that of backward().
template <class S, class E>
void add_bias_gradient(const BackwardProblem<E>& p, int64_t batch, int64_t head, Span queries,
                       typename S::Scalar* workspace) {
  using T = typename S::Scalar;
  const ScoreTensor<T>& bias = p.grad_bias;
  const AttentionShape& shape = p.shape;
  const BackwardScratch<T> w =
      backward_scratch<S>(p, smaller(p.most_keys, kKeysPerBlock), workspace);
  const int64_t key_width = round_up(shape.head_dim, S::kLanes);
  const int64_t value_width = round_up(shape.value_dim, S::kLanes);
  for_each_tile<S>(queries, [&](auto vecs, int64_t first, int64_t rows) HEADLIGHT_INLINE_LAMBDA {
    Tile<S, decltype(vecs)::value> t;
    start_tile(p, batch, head, first, rows, t);
    const int64_t row = t.sequence.first_query + first;
    prepare_tile(p, t,
                 readable_rows<S>(row_of(p.q, batch, head, row), p.q.row_stride, rows,
                                  shape.head_dim, w.query_rows, key_width),
                 readable_rows<S>(row_of(p.grad_out, batch, head, row), p.grad_out.row_stride, rows,
                                  shape.value_dim, w.grad_out_rows, value_width),
                 w.tiles, w.scratch, w.rows);
    for (int64_t j = t.seen.begin; j < t.seen.end; j += kKeysPerBlock) {
      const int64_t count = smaller(kKeysPerBlock, t.seen.end - j);
      const int64_t key_row = t.sequence.first_key + j;
      const GradientScratch<T>& b = w.block;
      tile_gradients<S, decltype(vecs)::value>(
          p, t, w.tiles,
          readable_rows<S>(row_of(p.k, batch, t.kv_head, key_row), p.k.row_stride, count,
                           shape.head_dim, w.key_rows, key_width),
          readable_rows<S>(row_of(p.v, batch, t.kv_head, key_row), p.v.row_stride, count,
                           shape.value_dim, w.value_rows, value_width),
          j, count, b, false);
      T* to = bias.data + batch * bias.batch_stride + head * bias.head_stride +
              first * bias.query_stride + j * bias.key_stride;
      for (int64_t k = 0; k < count; ++k) {
        const T* gradient = b.grad_scores + k * t.kLanes;
        if (bias.query_stride == 0) {
          T sum = 0;
          for (int64_t r = 0; r < rows; ++r) sum += gradient[r];
          to[k * bias.key_stride] += sum;
        } else {
          for (int64_t r = 0; r < rows; ++r) {
            to[k * bias.key_stride + r * bias.query_stride] += gradient[r];
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace headlight::attention
