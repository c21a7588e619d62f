// --inputs: what a model reads, as arrays of an .npz archive.
#pragma once

#include "app/model_input.h"

namespace headlight::app {

// Throws Error (bad_input) naming the file and the array for one that is missing, unknown to the
// model, of a wrong type or shape, or that holds ids the model does not have.
ModelInput read_input_arrays(const std::filesystem::path& path, const model::Transformer& model);

}  // namespace headlight::app
