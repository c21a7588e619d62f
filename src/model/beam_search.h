// Several ways to go on at once, the best of them kept (beam search).
#pragma once

#include <cstdint>
#include <vector>

#include "model/transformer.h"

namespace headlight::model {

// What was written: tokens without the prompt, with the end token if there is one, and their
// logarithmic probability.
struct Hypothesis {
  std::vector<int64_t> tokens;
  double score = 0;
};

struct BeamSearch {
  int64_t beams = 5;
  double length_penalty = 1;    // scores are divided by (number of tokens)^length_penalty
  bool early_stopping = false;  // end with the first `beams` hypotheses, better ones or not
  // At most so many new ones: one number a row, or one for all.
  std::vector<int64_t> tokens = {20};
  std::vector<int64_t> end_tokens;
  std::vector<int64_t> forbidden;  // tokens that are never written
};

// Up to `beams` hypotheses a row, best first, by the rules of transformers 5 (which end a row's
// search when no running beam, at its present length, beats the worst of `beams` finished ones).
// `inputs` as NextToken takes them. A row's result does not depend on the other rows but for
// rounding.
std::vector<std::vector<Hypothesis>> beam_search(const Transformer& model, const Inputs& inputs,
                                                 const BeamSearch& how);

}  // namespace headlight::model
