// Filling a model's tensors from a file, and saying in one message everything that does not fit.
#pragma once

#include "model/architecture/tensor_names.h"
#include "tensorfile/safetensors.h"

namespace headlight::model {

// Copies the file's tensors into the views, as float32, rounding wider types. Throws Error
// (bad_input) that lists all tensors which are missing, of a wrong shape or type, not part of the
// model, or that hold NaN or infinity.
void take(const tensorfile::TensorFile& file, const TensorNames& names);

}  // namespace headlight::model
