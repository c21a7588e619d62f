// Pruned models that a stock config.json of transformers can describe: as many heads in every
// layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/transformer.h"

namespace headlight::model {

// What the config.json of a "model_type" must say when a model has fewer heads than dim / head_dim.
struct HeadKeys {
  const char* type;
  const char* heads;
  const char* kv_heads;  // null: it has none
  const char* head_dim;
  bool divides;  // transformers refuses counts that do not divide the width of the model
};

// Throws Error (usage) with the reason where the config of that type derives the width of a head
// from their number, so that none can be left out.
const HeadKeys& head_keys(const std::string& model_type);

// Whether transformers takes as many heads as the first layer has.
bool takes_heads(const std::string& model_type, const Config& config);

// The same model without the numbers of its heads: what the keys can say. Throws Error (usage) that
// names the first layer which differs, and a relative bias whose layers keep different heads.
Transformer with_uniform_heads(Transformer model, const HeadKeys& keys);

}  // namespace headlight::model
