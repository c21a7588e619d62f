// Models as directories: config.json and model.safetensors.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace headlight::model {

// In our own form, whatever the model came from, with the names of its classes if there are some.
// Creates the folder if needed; each file is replaced as a whole or not at all.
void save(const Transformer& model, const std::filesystem::path& folder,
          const std::vector<std::string>& classes = {});

// As the class of transformers that computes the same would write it: Pegasus for an
// encoder-decoder, Llama for a language model. Where neither has the model's shape, as save().
void save_for_transformers(const Transformer& model, const std::filesystem::path& folder);

// Reads what these wrote, or a directory of Hugging Face transformers of an architecture below
// src/model/architecture. Float32 on the CPU, with gradients switched on. Throws Error (bad_input)
// for an architecture that is not known, for config values that the model does not have, and with a
// list of all tensors that are missing, of another shape, not part of the model or not finite.
Transformer load(const std::filesystem::path& folder);

// The tensors that transformers keeps of a model, under its names and in its layout, for a
// "model_type" of known_architectures(): what load() reads. Some parts have several names; `like`
// tells whether a checkpoint to be imitated holds one. Throws Error (usage) for other types.
std::vector<NamedTensor> tensors_in(
    const std::string& model_type, const Transformer& model,
    const std::function<bool(const std::string&)>& like = [](const std::string&) { return false; });

// Writes the model as transformers does: its tensors under the names of the config's "model_type",
// and the config as it is. Creates the folder if needed; each file is replaced as a whole or not at
// all. Throws Error (usage) for types that are not among known_architectures().
void save_as(const nlohmann::ordered_json& config, const Transformer& model,
             const std::filesystem::path& folder);

// The encoder of such a model, and its pooler if both have one, below a new output: what `config`,
// a config.json, says of it by its "architectures". Throws as load() does of a config.
Transformer with_new_output(const Transformer& model, const nlohmann::ordered_json& config,
                            uint64_t seed);

// All files of a model's folder but its weights, config.json and how it was trained; files that are
// there stay.
void copy_beside_weights(const std::filesystem::path& from, const std::filesystem::path& to);

// A classifier's classes by "id2label" in the folder's config.json; one that is not named there is
// LABEL_0, LABEL_1 and so on, as in transformers. Throws Error (bad_input) as read_json_file().
inline constexpr const char* kClassNames = "id2label";
std::vector<std::string> class_names(const std::filesystem::path& folder, int64_t classes);

}  // namespace headlight::model
