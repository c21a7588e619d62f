#include "model/relative_bias.h"

#include <ATen/ATen.h>

#include <cmath>

namespace headlight::model {

at::Tensor relative_bias(const at::Tensor& table, int64_t queries, int64_t keys, int64_t past,
                         bool sided, int64_t longest) {
  const auto integers = at::TensorOptions(at::kLong).device(table.device());
  const int64_t buckets = sided ? table.size(0) / 2 : table.size(0), exact = buckets / 2;
  // Every distance that occurs, once: key - query from -(past + queries - 1) to keys - 1 - past.
  const int64_t nearest = past + queries - 1;
  const at::Tensor offset = at::arange(-nearest, keys - past, integers);
  const at::Tensor distance = sided ? offset.abs() : (-offset).clamp_min(0);
  // In float32 as in the models' own code: at the borders of buckets the rounding decides.
  const at::Tensor grown = at::log(distance.to(at::kFloat) / static_cast<double>(exact)) /
                           std::log(static_cast<double>(longest) / static_cast<double>(exact)) *
                           static_cast<double>(buckets - exact);
  const at::Tensor far =
      (grown.clamp(0, static_cast<double>(buckets)).to(at::kLong) + exact).clamp_max(buckets - 1);
  at::Tensor bucket = at::where(distance < exact, distance, far);
  if (sided) bucket = bucket + offset.gt(0).to(at::kLong) * buckets;
  return at::embedding(table, bucket).t().contiguous();
}

at::Tensor bias_matrix(const at::Tensor& by_distance, int64_t keys) {
  // Windows of it, the last query's first.
  return by_distance.unfold(1, keys, 1).flip(1);
}

}  // namespace headlight::model
