// A model pruned into a folder: heads chosen, cut, perhaps trained on, written, read again, held
// against the model with closed gates, and measured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lab/before_and_after.h"
#include "lab/example.h"
#include "lab/finetuning.h"
#include "lab/removal_plan.h"
#include "model/head_name.h"
#include "model/pruned_checkpoint.h"
#include "model/transformer.h"

namespace headlight::lab {

struct PruneSettings {
  std::filesystem::path from, out;  // model directories; the second one must not be there yet
  std::string type;                 // "model_type" in its config.json
  model::PrunedKind kind = model::PrunedKind::compact;
  // Which heads go, by one of these.
  std::optional<std::vector<model::HeadPlace>> heads;
  std::optional<int64_t> keep;              // so many at least
  std::optional<double> max_loss_increase;  // nats, on both halves of the examples
  bool redundant = false;                   // one of each cluster of heads that attend alike stays
  FinetuneSettings finetune;                // 0 steps: none
  uint64_t seed = 0;
  int threads = 1;
};

struct PruneData {
  model::Transformer model;              // as load() reads it from there
  std::optional<model::Linear> readout;  // in place of its own output, where it is measured
  Halves examples;                       // of what is there; choosing and training need both
};

struct Cost {
  int64_t heads = 0;           // that can attend
  int64_t parameters = 0;      // numbers that are stored
  int64_t bytes = 0;           // of the files that hold them
  std::optional<double> loss;  // nats per scored label
  double forward_seconds = 0;  // a pass over the sample
};

struct Pruning {
  std::vector<model::HeadPlace> removed;
  std::vector<model::HeadPlace> merged;  // of those: whose output a head that stays took over
  Cost before, after;
  Difference difference;  // of the logits, gates closed against heads cut and read from the files
  bool greedy = false;    // how they were ordered, as in RemovalPlan
  int64_t held_back = 0;  // heads that only the examples they were chosen on would let go
  int64_t sample = 0;     // examples that logits and times were compared on; random ones if there
                          // are none to measure on
};

// `advanced` is told what is being counted and how far that is; it may throw to stop. Nothing is
// there under the final name unless all went well. Throws Error: usage for sets that cannot go and
// kinds that cannot hold what is left; bad_input and no_resources as AtomicFolder; and
// std::runtime_error, a bug, where the model that was written does not compute what it should.
using PruneAdvanced = std::function<void(double done, double all, const char* unit)>;
Pruning prune(const PruneSettings& settings, const PruneData& data, const PruneAdvanced& advanced);

}  // namespace headlight::lab
