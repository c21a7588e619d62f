#include "lab/head_layers.h"

#include <ATen/ATen.h>

#include "model/head_name.h"

namespace headlight::lab {

std::vector<HeadLayer> head_layers(const model::Config& config) {
  std::vector<HeadLayer> layers;
  int64_t first = 0;
  for (const model::NamedPart& part : model::parts_of(config))
    for (int64_t layer = 0; layer < part.layers; ++layer) {
      const model::LayerHeads h = model::layer_heads(config, part.part, layer);
      layers.push_back({part.stack, layer, first, h.heads, h.kv_heads, h.head_dim});
      first += h.heads;
    }
  return layers;
}

model::Gates gates_without(const std::vector<HeadLayer>& layers,
                           const std::vector<std::vector<bool>>& removed, int64_t rows) {
  const auto sets = static_cast<int64_t>(removed.size());
  model::Gates gates;
  for (const HeadLayer& layer : layers) {
    at::Tensor open = at::ones({sets, layer.heads});
    auto gate = open.accessor<float, 2>();
    for (int64_t s = 0; s < sets; ++s)
      for (int64_t h = 0; h < layer.heads; ++h)
        if (removed[static_cast<size_t>(s)][static_cast<size_t>(layer.first + h)]) gate[s][h] = 0;
    gates.factors[layer.stack].push_back(sets == 1 ? open[0] : open.repeat_interleave(rows, 0));
  }
  return gates;
}

}  // namespace headlight::lab
