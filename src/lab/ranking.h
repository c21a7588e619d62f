// How much a model's loss needs every head: what the gradient of its gate guesses, what taking it
// away really costs, and what is left when heads go one after the other (metrics.md, section D).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "heads/bootstrap.h"
#include "heads/importance.h"
#include "lab/example.h"
#include "lab/head_layers.h"
#include "lab/ranking_state.h"
#include "model/head_name.h"

namespace headlight::lab {

struct RankSettings {
  bool ablations = true;         // each head alone, by zero and by its mean
  bool curve = true;             // heads go by ascending score
  int64_t greedy_losses = 1000;  // heads go greedily, if that takes at most so many losses
  uint64_t seed = 0;             // of the intervals
};

// One entry for each head or group of heads; what was not asked for is empty. Names are the keys of
// metrics.md, section D.
struct Importance {
  heads::GateScores scores;  // gate_gradient is of the loss of all scored labels together
  std::vector<double> ablation_loss, ablation_zero, ablation_mean;
  std::optional<double> spearman_gate_zero, spearman_gate_mean;
  std::optional<heads::RemovalCurve> gate, greedy;
  // With several examples: 95 % intervals over them.
  std::vector<heads::Interval> score_intervals, zero_intervals, mean_intervals;
};

struct Ranking {
  int64_t examples = 0, scored = 0;
  double loss = 0;                // nats per scored label, all examples together
  std::vector<HeadLayer> layers;  // those without heads too
  std::vector<model::HeadPlace> heads;
  Importance of_heads;
  // Where heads share keys and values, only all of a group can be pruned: places in `heads`.
  std::vector<std::vector<int64_t>> groups;
  Importance of_groups;
};

// `advanced` is called ahead of each forward pass; it may throw to stop, and `state`, where it is
// given, holds what is done by then: called again with it, rank() goes on and gives the same
// numbers. Throws Error (bad_input) for data without a scored label and for losses that are not
// finite.
Ranking rank(const model::Transformer& model, const std::vector<Example>& examples,
             const RankSettings& settings = {}, RankingState* state = nullptr,
             const std::function<void(double done, double all)>& advanced = {});

}  // namespace headlight::lab
