// Checkpoints of Hugging Face transformers, one architecture a file: what its config.json means,
// and what its tensors are called; of two also how a model of our own is described by them.
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
  // A config.json that says of this config what the architecture has words for. Ids that a Config
  // does not hold are those of text/learned_pieces.h.
  nlohmann::json (*json)(const Config& config) = nullptr;
};

extern const Architecture kBert, kDistilBert, kGpt2, kGptNeox, kLlama, kGemma, kBart, kPegasus, kT5,
    kVit;

// The architecture of a "model_type", or null.
const Architecture* find_architecture(const std::string& type);
// All that can be read, in the order of the alphabet.
std::vector<std::string> known_architectures();

// The config.json by which transformers computes what a model with this (completed) config does, or
// null where no architecture above has its shape.
nlohmann::json transformers_json(const Config& config);
// Whether transformers writes a tensor that is not in every file of its architecture.
bool is_written_by_transformers(const std::string& tensor);

}  // namespace headlight::model
