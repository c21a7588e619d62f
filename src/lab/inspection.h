// What every head of a model does on given inputs, layer by layer: no layer's queries and keys are
// kept beyond its turn. Matrices of tokens by tokens are those of one head's walks, see
// token_graph.h.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "heads/analysis.h"
#include "heads/bootstrap.h"
#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

struct InspectSettings {
  std::vector<int64_t> layers;  // of every stack; empty: all
  // A probe for induction and duplicate heads: so many random tokens, four times over. 0: none.
  int64_t random_repeat = 25;
  int64_t start_token = -1;   // in front of the probe, where the model has one
  bool by_norm = false;       // structure, roles and pictures of attention times value norms
  bool flow = true;           // information flow (section A)
  int64_t steps_up_to = 256;  // tokens up to which the many steps of section A are walked
  // Tokens up to which every row is read; of longer texts some are (sampled_rows.h), and flow,
  // which needs them all, is left out. 0: always all.
  int64_t rows_up_to = 0;
  uint64_t seed = 0;      // of the probe and the intervals
  int64_t map_cells = 0;  // a side of the pictures of the first example's attention; 0: none
  int threads = 1;
};

struct InspectedLayer {
  std::string stack;  // "self", "encoder", "decoder" or "cross"
  int64_t layer = 0;
  std::vector<int64_t> numbers;   // of its heads, where pruning has left some only
  int64_t queries = 0, keys = 0;  // of the longest example
  int64_t rows_left_out = 0;      // of all examples, where rows were sampled
  heads::PooledAnalysis analysis;
  std::vector<heads::Structure> probe;  // [heads], or empty
  heads::Structure probe_baseline;
  nlohmann::ordered_json map;  // attention_map() of the first example, or null
  // With several examples: 95 % intervals of the mean over examples, by name and head.
  std::vector<std::pair<std::string, std::vector<std::optional<heads::Interval>>>> intervals;
};

struct Inspection {
  std::vector<InspectedLayer> layers;  // encoder, then decoder with cross behind it, by layer
  int64_t examples = 0;
  int64_t probe_tokens = 0;  // that were repeated; 0: there was no probe
  bool many_steps = true;    // false: left out for at least one example
  bool all_rows = true;      // false: sampled for at least one example
};

// `advanced` is told how many layers of all are done. Throws Error (usage) for layers that the
// model does not have; what the model or the analysis throws for an example names its number.
Inspection inspect(const model::Transformer& model, const std::vector<Example>& examples,
                   const InspectSettings& settings,
                   const std::function<void(int64_t done, int64_t all)>& advanced = {});

// {"layers": [...]}: each as in report.json, with what belongs to the inspection alone beside it.
nlohmann::ordered_json to_json(const InspectedLayer& layer);

}  // namespace headlight::lab
