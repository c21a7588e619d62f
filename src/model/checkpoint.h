// Models as directories: config.json and model.safetensors.
#pragma once

#include <filesystem>

#include "model/architecture/tensor_names.h"
#include "model/transformer.h"

namespace headlight::model {

// In our own form, whatever the model came from. Creates the folder if needed; each file is
// replaced as a whole or not at all.
void save(const Transformer& model, const std::filesystem::path& folder);

// Reads what save() wrote, or a directory of Hugging Face transformers of an architecture below
// src/model/architecture. Float32 on the CPU, with gradients switched on. Throws Error (bad_input)
// for an architecture that is not known, for config values that the model does not have, and with a
// list of all tensors that are missing, of another shape, not part of the model or not finite.
Transformer load(const std::filesystem::path& folder);

// The tensors of a model under their names in transformers, for a "model_type" of
// known_architectures(): what load() would read from. Throws Error (usage) for others.
TensorNames names_in(const std::string& model_type, const Transformer& model);

}  // namespace headlight::model
