// Attention on the standard shapes: ours, and what libtorch has for the same.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "headlight/attention.h"

namespace headlight::speed {

struct NamedShape {
  std::string name;
  AttentionShape shape;
  bool causal = false;
};
const std::vector<NamedShape>& standard_shapes();

struct AttentionWork {
  NamedShape of;
  bool backward = false;
  std::string dtype = "fp32";  // or "bf16", "fp16"
  int threads = 1;
};

// One pass over memory of its own, to be called again and again.
std::function<void()> our_attention(const AttentionWork& work);
// libtorch's scaled_dot_product_attention; backward is the backward pass alone. Nothing if libtorch
// cannot do it.
std::function<void()> libtorch_attention(const AttentionWork& work);

// Floating-point operations of the cells that are attended, and bytes of keys and values.
double operations(const AttentionWork& work);
double bytes_read(const AttentionWork& work);

// "AMD EPYC 7R13, 2 cores".
std::string machine();

}  // namespace headlight::speed
