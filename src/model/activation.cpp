#include "model/activation.h"

#include <ATen/ATen.h>

namespace headlight::model {

at::Tensor activated(const at::Tensor& x, Activation activation) {
  const auto gated = [&x](auto gate) {
    const auto parts = x.chunk(2, -1);
    return gate(parts[0]) * parts[1];
  };
  switch (activation) {
    case Activation::relu:
      return at::relu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::silu:
      return at::silu(x);
    case Activation::quick_gelu:
      return x * at::sigmoid(1.702 * x);
    case Activation::tanh:
      return at::tanh(x);
    case Activation::swiglu:
      return gated([](const at::Tensor& gate) { return at::silu(gate); });
    case Activation::reglu:
      return gated([](const at::Tensor& gate) { return at::relu(gate); });
    case Activation::geglu:
      return gated([](const at::Tensor& gate) { return at::gelu(gate); });
    case Activation::geglu_tanh:
      return gated([](const at::Tensor& gate) { return at::gelu(gate, "tanh"); });
  }
  return x;
}

}  // namespace headlight::model
