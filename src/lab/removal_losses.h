// Losses of a data set with heads taken away. What was found once is remembered.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lab/example.h"
#include "lab/head_layers.h"
#include "lab/ranking_state.h"
#include "model/transformer.h"

namespace headlight::lab {

// What takes the place of what a removed head hands to the output projection.
enum class Instead { zero, mean };  // mean: over all rows of the data that are no padding

// By place in model::all_heads(); true: removed.
using HeadSet = std::vector<bool>;

class RemovalLosses {
 public:
  // Keeps references. `state` holds what is known already and takes what is found; `before` is
  // called ahead of each forward pass, with how many of the sets asked for are done.
  RemovalLosses(const model::Transformer& model, const std::vector<Example>& examples,
                RankingState& state, std::function<void(double)> before);

  const std::vector<Batch>& batches() const { return batches_; }

  // Several sets share a forward pass where the data is small: each has copies of all rows. `nats`:
  // keep those of every example too. Throws Error (bad_input) where a loss is not finite.
  std::vector<RankingState::Loss> without(const std::vector<HeadSet>& sets,
                                          Instead instead = Instead::zero, bool nats = false);

 private:
  std::vector<Losses> compute(const std::vector<HeadSet>& sets, Instead instead, double done);

  const model::Transformer& model_;
  int64_t examples_;
  RankingState& state_;
  std::function<void(double)> before_;
  std::vector<HeadLayer> layers_;
  std::vector<Batch> batches_;
  size_t together_ = 1;  // sets in one forward pass
  std::map<std::string, std::vector<at::Tensor>> means_;
};

// How many tokens a forward pass reads at once: few enough that their logits stay small.
int64_t tokens_at_once(const model::Config& config);

}  // namespace headlight::lab
