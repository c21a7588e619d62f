// What every head hands to the output projection on average.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

// By stack and layer [H, d]: the mean over all rows that are no padding, for model::Gates::means.
// Attention is computed once more from what the pass captures; no matrix of tokens by tokens is
// made. `before` is called ahead of each batch with the share that is done.
std::map<std::string, std::vector<at::Tensor>> head_means(
    const model::Transformer& model, const std::vector<Batch>& batches,
    const std::function<void(double)>& before = {});

// [B, N, H, d]: what the heads of a captured layer hand over.
at::Tensor head_outputs(const model::Capture::Layer& layer);

// [B, N], 1 where a query of the stack is no padding; undefined: everywhere.
at::Tensor used_rows(const model::Inputs& inputs, const std::string& stack, int64_t queries);

}  // namespace headlight::lab
