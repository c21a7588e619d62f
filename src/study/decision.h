// What the runs of a study say about head counts, with how sure that is (metrics.md, section F).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "study/study.h"

namespace headlight::study {

// All seeds of one task at one number of heads.
struct Cell {
  size_t task = 0;
  int64_t heads = 1;
  double rate = 0;  // of several, the one with the lowest validation loss
  std::vector<const FinishedRun*> runs;
  double accuracy_mean = 0;
  double accuracy_low = 0, accuracy_high = 0;  // 95 % interval over seeds and items
  std::optional<double> accuracy_sd;           // over seeds
  double loss_mean = 0;
  std::optional<double> loss_low, loss_high;   // the same interval, where the loss is what counts
  int64_t reached = 0;                         // seeds that reached the target accuracy
  std::optional<double> steps_to_target_mean;  // of those
  double milliseconds_per_step = 0;
  std::optional<double> score_mean, score_sd;  // by the task's own measure, percent; over seeds
};

// Accuracy at `heads` minus accuracy at `against`, paired by seed and by test sequence; for tasks
// that are judged by it, their loss in nats, where less is better.
struct Comparison {
  size_t task = 0;
  int64_t heads = 0, against = 0;
  double difference = 0, low = 0, high = 0;
  double p = 1;
  std::optional<double> p_holm;       // over the comparisons with the fewest heads
  std::string verdict;                // better, worse, no difference, not decided
  std::optional<int64_t> more_seeds;  // that would halve the interval, if not decided
};

struct Decision {
  std::vector<Cell> cells;              // by task, then by heads
  std::vector<Comparison> comparisons;  // every count with the fewest heads and with the best
  std::vector<std::string> sentences;   // one per task
};

// Cells without a finished run are left out; sentences then say so.
Decision decide(const Settings& settings, const std::vector<FinishedRun>& runs);

}  // namespace headlight::study
