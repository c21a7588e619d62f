// One way to go on at a time: the likeliest token, or one drawn by lot.
#pragma once

#include <cstdint>
#include <vector>

#include "model/beam_search.h"
#include "model/transformer.h"

namespace headlight::model {

struct Sampling {
  double temperature = 0;  // logits are divided by it; 0: the largest logit, always
  int64_t top_k = 0;       // only so many of the likeliest tokens; 0: all
  double top_p = 1;        // and only the likeliest that together have this probability
  // One number a row: what it draws depends on its own seed alone. One for all: all rows alike.
  std::vector<uint64_t> seeds = {0};
  // As in BeamSearch.
  std::vector<int64_t> tokens = {20};
  std::vector<int64_t> end_tokens;
  std::vector<int64_t> forbidden;
};

// A hypothesis a row; its score is the sum of the logarithms of the tokens' probabilities before
// temperature and cuts. `inputs` as NextToken takes them. Temperature, then top k, then top p, as
// in transformers.
std::vector<Hypothesis> sample(const Transformer& model, const Inputs& inputs, const Sampling& how);

}  // namespace headlight::model
