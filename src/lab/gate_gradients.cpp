#include "lab/gate_gradients.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "lab/head_layers.h"

namespace headlight::lab {
namespace {

// Gradients of weights would cost as much again as those of the gates.
class WeightsStandStill {
 public:
  explicit WeightsStandStill(const model::Transformer& model) {
    for (const model::NamedTensor& one : model::parameters(model))
      if (one.tensor.requires_grad()) learning_.push_back(one.tensor.set_requires_grad(false));
  }
  ~WeightsStandStill() {
    for (const at::Tensor& tensor : learning_) tensor.set_requires_grad(true);
  }
  WeightsStandStill(const WeightsStandStill&) = delete;
  WeightsStandStill& operator=(const WeightsStandStill&) = delete;

 private:
  std::vector<at::Tensor> learning_;
};

}  // namespace

std::vector<std::vector<double>> gate_gradients(const model::Transformer& model,
                                                const std::vector<Batch>& batches,
                                                const std::function<void(double)>& before) {
  const WeightsStandStill guard(model);
  const std::vector<HeadLayer> layers = head_layers(model.config);
  const int64_t heads = layers.empty() ? 0 : layers.back().first + layers.back().heads;
  std::vector<std::vector<double>> gradients;
  double done = 0;
  for (const Batch& batch : batches) {
    if (before) before(done++ / static_cast<double>(batches.size()));
    const auto rows = static_cast<int64_t>(batch.examples.size());
    model::Gates gates;
    std::vector<at::Tensor> leaves;
    for (const HeadLayer& layer : layers) {
      leaves.push_back(at::ones({rows, layer.heads}).set_requires_grad(true));
      gates.factors[layer.stack].push_back(leaves.back());
    }
    model::Pass pass;
    pass.gates = &gates;
    const at::Tensor loss = model::loss(model, batch.inputs, batch.labels, pass);
    // The loss is a mean over the batch's scored labels.
    const auto scored = batch.labels.ne(model::kUnscored).sum().item<double>();
    std::vector<at::Tensor> found(leaves.size());
    if (scored > 0 && loss.requires_grad())
      found = torch::autograd::grad({loss}, leaves, {}, std::nullopt, false, /*allow_unused=*/true);
    for (int64_t row = 0; row < rows; ++row) {
      const auto example = static_cast<size_t>(batch.examples[static_cast<size_t>(row)]);
      gradients.resize(std::max(gradients.size(), example + 1));
      gradients[example].assign(static_cast<size_t>(heads), 0);
      for (size_t l = 0; l < layers.size(); ++l) {
        if (!found[l].defined() || layers[l].heads == 0) continue;
        const float* gradient = found[l].const_data_ptr<float>() + row * layers[l].heads;
        for (int64_t h = 0; h < layers[l].heads; ++h)
          gradients[example][static_cast<size_t>(layers[l].first + h)] =
              static_cast<double>(gradient[h]) * scored;
      }
    }
  }
  return gradients;
}

}  // namespace headlight::lab
