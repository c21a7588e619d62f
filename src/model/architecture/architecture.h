// Checkpoints of Hugging Face transformers, one architecture a file: what its config.json means,
// and what its tensors are called.
#pragma once

#include <string>
#include <vector>

#include "model/architecture/config_reader.h"
#include "model/architecture/tensor_names.h"
#include "model/transformer.h"

namespace headlight::model {

struct Architecture {
  std::vector<std::string> types;  // "model_type" in config.json
  // `names` tells what the checkpoint holds, which decides about heads. Throws Error (bad_input)
  // for values that the model does not have.
  Config (*config)(const ConfigReader& config, const TensorNames& names);
  void (*tensors)(const Transformer& model, TensorNames& names);
};

extern const Architecture kBert, kDistilBert, kGpt2, kGptNeox, kLlama, kGemma, kBart, kT5, kVit;

// The architecture of a "model_type", or null.
const Architecture* find_architecture(const std::string& type);
// All that can be read, in the order of the alphabet.
std::vector<std::string> known_architectures();

}  // namespace headlight::model
