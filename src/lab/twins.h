// Heads that attend alike: one of them can do the work of all.
#pragma once

#include <functional>
#include <vector>

#include "lab/example.h"
#include "model/head_name.h"
#include "model/transformer.h"

namespace headlight::lab {

// Heads of one layer whose attention is nearly the same (clusters of metrics.md, section C).
struct Twins {
  model::HeadPlace stays;              // the medoid
  std::vector<model::HeadPlace> gone;  // the others
};

// Where heads share keys and values, twins go only if all of their group do. `advanced` is told how
// many layers of all are done.
std::vector<Twins> find_twins(const model::Transformer& model, const std::vector<Example>& examples,
                              int threads,
                              const std::function<void(int64_t done, int64_t all)>& advanced);

// The same model with the head that stays adding what its twins add, as well as a linear map of its
// own output can (least squares over the examples, with a constant where there is a bias to hold
// it). The twins are still there: closing their gates completes the merge.
model::Transformer with_merged(const model::Transformer& model, const Twins& twins,
                               const std::vector<Batch>& batches);

}  // namespace headlight::lab
