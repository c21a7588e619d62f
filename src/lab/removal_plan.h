// Which heads go when a model is to be smaller.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lab/example.h"
#include "model/head_name.h"
#include "model/transformer.h"

namespace headlight::lab {

// Sets of heads, each with all of the one before it and the first one empty; the last one leaves at
// least one head.
struct RemovalPlan {
  std::vector<std::vector<model::HeadPlace>> steps;
  std::vector<double> losses;  // nats per scored label of the examples without those heads
  bool greedy = false;         // the order looked at the loss again after each removal
};

// Heads, or groups that share keys and values, in the order of the ranking (study/ranking.h):
// greedily for few of them, else by the gradients of their gates. `uniform`: all layers lose
// equally many, and where they share a bias of relative positions the same ones; a step is then
// one head of every layer. `advanced` is told how much is done and may throw to stop.
RemovalPlan plan_removal(const model::Transformer& model, const std::vector<Example>& examples,
                         bool uniform, uint64_t seed,
                         const std::function<void(double done, double all)>& advanced);

// The last step that leaves so many heads at least.
size_t step_keeping(const RemovalPlan& plan, int64_t heads, int64_t keep);

// The last step up to `most` whose loss has grown by at most `increase` nats.
size_t step_within(const std::vector<double>& losses, double increase, size_t most);

// Every fifth example, of few the last one, is kept aside for measuring; with a single one it does
// for both.
struct Halves {
  std::vector<Example> chosen_on, measured_on;
  bool apart = true;  // false: there is one example, and it is both
};
Halves held_out(const std::vector<Example>& examples);

}  // namespace headlight::lab
