// Filling a model's tensors from a file, and saying in one message everything that does not fit.
#pragma once

#include <string>

#include "model/architecture/tensor_names.h"
#include "tensorfile/safetensors.h"

namespace headlight::model {

// Copies the file's tensors into the views, as float32, rounding wider types. Throws Error
// (bad_input) that lists all tensors which are missing, of a wrong shape or type, not part of the
// model, or that hold NaN or infinity.
void take(const tensorfile::TensorFile& file, const TensorNames& names);

// The file's own name for a tensor, "" if it is not there: TensorFlow's words for norms are still
// about.
std::string found_name(const tensorfile::TensorFile& file, const std::string& name);

}  // namespace headlight::model
