// From what a forward pass leaves behind to what the head analysis reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "heads/attention_source.h"
#include "model/transformer.h"

namespace headlight::lab {

// Hands over every layer of one pass and keeps none.
void each_layer(const model::Transformer& model, const model::Inputs& inputs,
                std::function<void(model::Capture::Layer&&)> visit);

// One row of a captured layer, read in place: the layer must outlive it. `query_valid` [queries], 0
// is padding; empty: all are real. Windows, softcaps, biases by distance, padding and grouped keys
// are those of the model.
heads::Attention attention_of(const model::Capture::Layer& layer, int64_t row,
                              std::vector<uint8_t> query_valid);

// A captured layer with this row alone.
model::Capture::Layer row_of(const model::Capture::Layer& layer, int64_t row);

// Which queries of the only row are no padding, [queries]; empty: all are real.
std::vector<uint8_t> real_queries(const model::Capture::Layer& layer, const model::Inputs& inputs);

// Where a layer stands among the results: the encoder first, then the decoder, cross last.
std::pair<int, int64_t> place_of(const model::Capture::Layer& layer);

// Which keys of a row are no padding, [keys]; empty: all.
std::vector<uint8_t> real_keys(const model::Capture::Layer& layer, int64_t row);

}  // namespace headlight::lab
