// A study from its plan to its report.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "study/folder.h"
#include "study/run.h"

namespace headlight::study {

// What a study is doing, for whoever watches. Called from several threads, one at a time.
struct Progress {
  size_t runs = 0, runs_done = 0;
  double share = 0;          // of the whole work, 0 to 1, by the time each kind of run takes
  double seconds_left = -1;  // negative: not known yet
  std::string run;           // "fetch(16,2,6), 4 heads, seed 0"
  int64_t step = 0, steps = 0;
  double loss = 0;
  double accuracy = -1;  // of the last evaluation; negative: none yet
};

struct Work {
  int jobs = 1;       // runs at the same time, one thread each
  int64_t shard = 0;  // this process does the runs i with i % shards == shard
  int64_t shards = 1;
  std::function<void(const Progress&)> progress;
  std::function<bool()> stop;  // true: stop after a checkpoint
};

struct FinishedRun {
  RunKey key;
  RunResult result;
};

// Carries out every run of the folder's study that is not done yet. Returns all that are done, in
// the order of the plan, those of other processes too; nothing if it was stopped: what is done is
// kept. A run that throws stops the others after their checkpoints.
std::optional<std::vector<FinishedRun>> carry_out(const Folder& folder,
                                                  const std::vector<Material>& material,
                                                  const Work& work);

}  // namespace headlight::study
