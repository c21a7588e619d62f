#include "lab/attention_map.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lab/captured_attention.h"
#include "tensorfile/base64.h"

namespace headlight::lab {
namespace {

constexpr int64_t kWholeWeights = int64_t{1024} * 1024;

// Some queries of a layer.
model::Capture::Layer band_of(const model::Capture::Layer& layer, int64_t first, int64_t count) {
  model::Capture::Layer band = layer;
  band.q = layer.q.narrow(2, first, count);
  const int64_t queries = layer.q.size(2), keys = layer.k.size(2);
  if (layer.bias.defined())
    band.bias = layer.bias.narrow(1, queries - first - count, count + keys - 1);
  band.past = layer.past + first;
  return band;
}

// [H, 1, S]
at::Tensor factors_of(const std::vector<std::vector<double>>& value_norms) {
  std::vector<at::Tensor> heads;
  for (const std::vector<double>& norms : value_norms)
    heads.push_back(at::tensor(norms, at::kFloat).unsqueeze(0));
  return at::stack(heads);
}

}  // namespace

nlohmann::ordered_json attention_map(const model::Capture::Layer& all, int64_t row, int64_t largest,
                                     const std::vector<std::string>& query_tokens,
                                     const std::vector<std::string>& key_tokens,
                                     const std::vector<std::vector<double>>& value_norms) {
  const model::Capture::Layer layer = row_of(all, row);
  const int64_t heads = layer.q.size(1), queries = layer.q.size(2), keys = layer.k.size(2);
  const int64_t rows = std::min(largest, queries), columns = std::min(largest, keys);
  const bool sampled = queries * keys > kWholeWeights;
  at::Tensor factors;
  if (!value_norms.empty()) factors = factors_of(value_norms);
  at::Tensor cells = at::zeros({heads, rows, columns}, at::kByte);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r * queries / rows;
    // The blocks of adaptive pooling: every weight lies in at least one of them.
    const int64_t last = sampled ? first + 1 : ((r + 1) * queries + rows - 1) / rows;
    at::Tensor weights = model::probabilities(band_of(layer, first, last - first))[0];
    if (factors.defined()) {
      weights = weights * factors;
      weights = weights / weights.sum(2, true).clamp_min(1e-30);
    }
    weights = std::get<0>(at::adaptive_max_pool2d(weights.to(at::kFloat), {1, columns}));
    cells.select(1, r).copy_(weights.select(1, 0).sqrt().mul(255).round());
  }
  nlohmann::ordered_json pictures = nlohmann::ordered_json::array();
  for (int64_t head = 0; head < heads; ++head)
    pictures.push_back(tensorfile::base64(
        {cells[head].const_data_ptr<uint8_t>(), static_cast<size_t>(rows * columns)}));
  nlohmann::ordered_json map = {{"stack", layer.stack},   {"layer", layer.layer}, {"rows", rows},
                                {"columns", columns},     {"queries", queries},   {"keys", keys},
                                {"tokens", query_tokens}, {"heads", pictures}};
  // Patches of an image have no words, which an empty list says.
  if (layer.stack == "cross" && !query_tokens.empty()) map["key_tokens"] = key_tokens;
  if (sampled) map["sampled"] = true;
  return map;
}

}  // namespace headlight::lab
