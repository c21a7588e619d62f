// The learned bias of scores by distance of T5 (Raffel et al. 2020, section 2.1).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace headlight::model {

// table [buckets, H]; returns [H, queries + keys - 1] by key - query, the lowest first, for queries
// that stand at keys past, past + 1, ... With `sided`, keys before and behind a query have buckets
// of their own; without, those behind are in bucket 0. Half of a side's buckets hold one distance
// each, the others grow with the logarithm up to `longest`, which with everything beyond is in the
// last.
at::Tensor relative_bias(const at::Tensor& table, int64_t queries, int64_t keys, int64_t past,
                         bool sided, int64_t longest);

// The same as [H, queries, keys], which not even the longest text needs on the CPU.
at::Tensor bias_matrix(const at::Tensor& by_distance, int64_t keys);

}  // namespace headlight::model
