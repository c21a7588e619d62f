// The heads of a model in one row, and gates that take some of them away.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/transformer.h"

namespace headlight::lab {

// The heads first, first + 1, ... of model::all_heads().
struct HeadLayer {
  std::string stack;
  int64_t layer = 0;
  int64_t first = 0, heads = 0, kv_heads = 0, head_dim = 0;
};

// Every layer in the order of model::all_heads(), those without heads too.
std::vector<HeadLayer> head_layers(const model::Config& config);

// Gates of 0 and 1 for sets of heads (true: removed, by place in all_heads()): [H] for one set,
// else [sets * rows, H] with `rows` rows for each set in turn.
model::Gates gates_without(const std::vector<HeadLayer>& layers,
                           const std::vector<std::vector<bool>>& removed, int64_t rows);

}  // namespace headlight::lab
