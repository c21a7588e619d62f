// What lies between the two linear layers of a feed-forward part.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/config.h"

namespace headlight::model {

// x [..., F], or for gated ones [..., 2 F] with the gate first; returns [..., F].
at::Tensor activated(const at::Tensor& x, Activation activation);

}  // namespace headlight::model
