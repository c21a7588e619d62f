// The parts of an output layer with its cross entropy for one block of rows, whose logits stay in
// the caches. Compiled per instruction set like kernels.h; float32, one thread.
//
// A block holds the logits of `rows` rows in groups of columns: group g is [rows, group]
// contiguous, the last one filled up. Weights come in the panels of products.h.
#pragma once

#include <cstdint>

namespace headlight::model {

struct OutputLoss {
  int64_t group;  // columns; a multiple of the panel

  // The logits of groups [first, last), x [rows, depth] times the panels of the transposed weight
  // [groups * group, depth] plus shift, and the largest of each row among them.
  void (*logits)(const float* x, const float* panels, const float* shift, int64_t rows,
                 int64_t depth, int64_t first, int64_t last, float* block, float* largest);
  // Each logit becomes e^(logit - top of its row); sums has those of each row over the groups.
  void (*exponentials)(int64_t rows, const float* top, int64_t first, int64_t last, float* block,
                       float* sums);
  // Adds to those rows of the weight's gradient [classes, depth] that the groups stand for the sums
  // over all rows of number * factor * x, with factor * x packed in panels [depth / panel][rows]
  // [panel]; and to the bias's the sums of number * factor.
  void (*weight_gradient)(const float* block, const float* factors, const float* scaled_x,
                          int64_t rows, int64_t depth, int64_t classes, int64_t first, int64_t last,
                          float* grad_weight, float* grad_bias);
  // grad_x [rows, depth], rows [first, last): the block times the weight [classes, depth] in
  // panels.
  void (*input_gradient)(const float* block, const float* panels, int64_t rows, int64_t depth,
                         int64_t classes, int64_t first, int64_t last, float* grad_x);
};

const OutputLoss& output_loss_kernels();

}  // namespace headlight::model
