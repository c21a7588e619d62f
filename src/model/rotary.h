// Rotary positions (Su et al. 2021), turning the two halves of a head against each other.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/config.h"

namespace headlight::model {

struct Angles {
  at::Tensor cosines, sines;  // [N, width / 2]
};

// Angle of pair i at place n: n * theta^(-2 i / width), stretched as the layer's scaling says, of
// places first ... first + places - 1. `positions` is what the model was made for.
Angles rotary_angles(int64_t first, int64_t places, int64_t width, const LayerHeads& layer,
                     int64_t positions, const at::TensorOptions& like);
Angles rotary_angles(int64_t places, int64_t head_dim, double theta, const at::TensorOptions& like);

// x [B, N, W]: the first heads * head_dim columns of every row are turned by the angles of its
// place, the others copied. Angles for fewer than head_dim elements turn the first ones of a head.
at::Tensor turned(const at::Tensor& x, int64_t heads, int64_t head_dim, const Angles& angles);
at::Tensor turned(const at::Tensor& x, int64_t heads, const Angles& angles);

}  // namespace headlight::model
