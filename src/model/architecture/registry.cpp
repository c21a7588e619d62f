#include <algorithm>

#include "headlight/error.h"
#include "model/architecture/architecture.h"
#include "model/head_name.h"

namespace headlight::model {
namespace {

const Architecture* const kArchitectures[] = {&kBart,    &kBert,  &kDistilBert, &kGemma, &kGpt2,
                                              &kGptNeox, &kLlama, &kPegasus,    &kT5,    &kVit};

// What a model computes outside training, said in one way: every layer's heads by themselves.
Config spelled_out(Config c) {
  c.dropout = c.attention_dropout = c.embedding_dropout = 0;
  c.linear_bias = true;  // qkv_bias, attention_out_bias and ffn_bias say it
  for (const NamedPart& part : parts_of(c)) {
    std::vector<LayerHeads> layers;
    for (int64_t i = 0; i < part.layers; ++i) layers.push_back(layer_heads(c, part.part, i));
    (part.part == Part::encoder   ? c.encoder_attention
     : part.part == Part::decoder ? c.decoder_attention
                                  : c.cross_attention) = std::move(layers);
  }
  return c;
}

}  // namespace

const Architecture* find_architecture(const std::string& type) {
  for (const Architecture* one : kArchitectures)
    if (std::find(one->types.begin(), one->types.end(), type) != one->types.end()) return one;
  return nullptr;
}

std::vector<std::string> known_architectures() {
  std::vector<std::string> all;
  for (const Architecture* one : kArchitectures)
    all.insert(all.end(), one->types.begin(), one->types.end());
  std::sort(all.begin(), all.end());
  return all;
}

bool is_written_by_transformers(const std::string& tensor) {
  return tensor == "final_logits_bias" || tensor.ends_with("embed_positions.weight");
}

nlohmann::json transformers_json(const Config& config) {
  const TensorNames names(is_written_by_transformers);
  for (const Architecture* one : kArchitectures) {
    if (!one->json) continue;
    const nlohmann::json json = one->json(config);
    // It fits if it is read as what it was: no second list of what the architecture can say.
    try {
      const Config read = completed(one->config(ConfigReader(json, "config.json"), names));
      if (spelled_out(read) == spelled_out(config)) return json;
    } catch (const Error&) {
      continue;  // not a model of that architecture
    }
  }
  return nullptr;
}

}  // namespace headlight::model
