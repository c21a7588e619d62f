// What the configs and tensors of many architectures have in common.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "model/architecture/config_reader.h"
#include "model/architecture/tensor_names.h"

namespace headlight::model {

// What a checkpoint has on top of its last layer. span: start and end of an answer.
enum class Head { none, language, sequence, token, span };

// By the name in "architectures"; where there is none, or only a base model's, by the first of the
// tensors that the checkpoint holds, and `none` if it holds none of them. Throws Error (bad_input)
// for names of heads that are not supported.
Head head_of(const ConfigReader& config, const TensorNames& names,
             std::initializer_list<std::pair<const char*, Head>> tensors);

// Sets the output of a model that classifies; a language model's is left as it is.
void set_output(Config& config, Head head, const ConfigReader& reader);

// The same for a decoder, whose classifier reads the last token; also its end tokens. A bare model
// whose output is tied holds all that a language model needs, and is one. Returns the head.
Head set_decoder_output(Config& config, const ConfigReader& reader, const TensorNames& names,
                        std::initializer_list<std::pair<const char*, Head>> tensors);

// Ids as config.json has them: a number, or a list where there are several.
nlohmann::json one_or_all(const std::vector<int64_t>& ids);

// The first prefix below which the checkpoint holds the tensor, or the first one at all.
std::string prefix_of(const TensorNames& names, std::initializer_list<const char*> prefixes,
                      const std::string& tensor);

// One entry a layer, each as the config says for all.
std::vector<LayerHeads> alike_layers(const Config& config, int64_t layers);
// Leaves out what "pruned_heads" of transformers 4 says.
void prune_layers(std::vector<LayerHeads>& layers, const ConfigReader& reader);

// "rope_parameters", or before transformers 5 "rope_theta" and "rope_scaling"; `layer_type` names
// the entry where each kind of layer has one of its own. Also sets the config's rotary_width.
// What the file leaves open is `theta` and, for the part of a head that turns, `part`.
void read_rotary(const ConfigReader& reader, const std::string& layer_type, double theta,
                 double part, Config& config, LayerHeads& layer);

// For every layer whether its queries see a window only: "layer_types", or `otherwise(layer)` where
// the file does not have them.
std::vector<bool> windowed_layers(const ConfigReader& reader, int64_t layers,
                                  bool (*otherwise)(const ConfigReader&, int64_t layer));

// The stack of a model that has only one.
inline const Stack& only_stack(const Transformer& model) {
  return model.config.kind == Kind::encoder_only ? model.encoder : model.decoder;
}

}  // namespace headlight::model
