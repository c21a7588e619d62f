// Heads taken out of a model: closed by gates, cut out for good, or put back as zeros.
#pragma once

#include <vector>

#include "model/head_name.h"
#include "model/transformer.h"

namespace headlight::model {

// Gates that close these heads and leave all others open.
Gates closed_gates(const Transformer& model, const std::vector<HeadPlace>& heads);

// The same heads, each once and in the order of all_heads(). Throws Error (usage) for a head that
// is not there, and under grouped queries for a part of a group: the heads that share keys and
// values can only go together.
std::vector<HeadPlace> whole_groups(const Config& config, std::vector<HeadPlace> heads);

// A smaller model that computes what this one computes with those gates closed: their rows of the
// projections to q, k and v are gone, and their columns of the one behind attention; its bias
// stays, also in a layer that has no head left. LayerHeads::numbers tells which heads these were
// in the model that was cut first. Tensors that do not change are shared. Throws as whole_groups().
Transformer cut_heads(const Transformer& model, const std::vector<HeadPlace>& heads);

// The other way: `cut` in the shapes of the `model` that it was cut from, with zeros behind
// attention where `heads` were. Computes what `cut` does, whatever was trained in between.
Transformer put_back(const Transformer& cut, const Transformer& model,
                     const std::vector<HeadPlace>& heads);

}  // namespace headlight::model
