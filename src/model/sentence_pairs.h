// Pairs of texts that belong together, as sentence encoders are trained on them: each text alone
// becomes a vector, and the loss is that of telling which second text of the batch belongs to which
// first one (Henderson et al. 2017, section 4; Reimers and Gurevych 2019).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/transformer.h"

namespace headlight::model {

// A base model of one encoder of texts.
bool makes_sentence_vectors(const Config& config);

// Such a model, where inputs.source holds the second text of every row.
bool tells_partners(const Config& config, const Inputs& inputs);

// Inputs that a model reads in passes of their own: the two texts of such pairs, else all as it is.
std::vector<Inputs> read_apart(const Config& config, const Inputs& inputs);

// [B, B]: 20 times the cosine between every first and every second text, each the mean of its last
// hidden states over what is no padding by the masks. Gates of a row hold for both of its texts.
at::Tensor partner_logits(const Transformer& model, const Inputs& inputs, const Pass& pass);

}  // namespace headlight::model
