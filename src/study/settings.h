// What a study compares, with every default filled in: enough to repeat it.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/config.h"
#include "task/task.h"
#include "train/settings.h"
#include "train/text_run.h"

namespace headlight::study {

// One task and how it is trained. A 0 asks for the task's own recommendation.
struct TaskPlan {
  std::string name;  // "fetch(16,2,6)", or "text" or "pairs" for the user's own data
  int64_t steps = 0;
  int64_t layers = 0;
  int64_t evaluate_every = 0;
  double learning_rate = 0;
};

// The user's own data: a language model on text files, an encoder-decoder on parallel lines, or
// what `headlight train` learns of the kind.
struct DataFiles {
  std::vector<std::string> text;
  std::string source, target;
  std::string kind;  // "translate" and so on; empty: none
  std::vector<std::string> files, valid;
  int64_t vocabulary = 0;  // pieces; 0: bytes
  int64_t length = 64;     // tokens in a window of text, or at most in a line
};

struct Settings {
  std::vector<TaskPlan> tasks;
  DataFiles data;
  std::vector<int64_t> heads{1, 2, 4, 8, 16};
  int64_t seeds = 5;
  uint64_t first_seed = 0;

  int64_t dim = 32;
  int64_t ffn = 0;     // 0: twice dim
  int64_t budget = 0;  // parameters to come close to by choosing dim and ffn; 0: dim as given
  double dropout = 0;
  // As config.json of a model says them.
  std::string norm = "rms", norm_place = "pre", activation = "relu", position = "learned";

  train::Settings training;         // steps, rate, seed and evaluation are the task's
  std::vector<double> rates;        // each head count takes its best of these; empty: one rate
  int64_t samples = 0;              // size of a fixed training set; 0: fresh data at every step
  int64_t test_samples = 512;       // held-out sequences that the results are measured on
  double noise = 0;                 // share of test inputs replaced by random symbols
  int64_t analysis_sequences = 16;  // held-out sequences on which heads are analysed
  double margin = 0.005;            // difference in accuracy that matters
  int64_t replicates = 10000;       // of the bootstrap
};

// The tasks of a study, as Settings::tasks lists them; null for what `train` learns, which needs a
// folder for its vocabulary. Made once: one that learns a vocabulary takes its time.
using Tasks = std::vector<std::unique_ptr<task::Task>>;
Tasks make_tasks(const Settings& settings);

struct Completed {
  Settings settings;
  Tasks tasks;
};
// Fills in every default, so that what is recorded repeats the study by itself. Throws Error
// (usage) naming what is inconsistent and what would be right.
Completed completed(Settings settings);

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TaskPlan, name, steps, layers, evaluate_every, learning_rate)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DataFiles, text, source, target, kind, files, valid,
                                                vocabulary, length)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Settings, tasks, data, heads, seeds, first_seed, dim, ffn,
                                   budget, dropout, norm, norm_place, activation, position,
                                   training, rates, samples, test_samples, noise,
                                   analysis_sequences, margin, replicates)

// The user's own text and what `train` learns to write are judged by their loss: how likely the
// right symbol was says more than whether it was the likeliest. Everything else is judged by
// accuracy.
bool judged_by_loss(const TaskPlan& plan);
// The difference that matters: Settings::margin, or 0.01 nats where the loss is what counts.
double margin_of(const Settings& settings, const TaskPlan& plan);

// The four-minute study: a task that does not care about heads, one where a single head is much
// slower, and three where many heads are.
std::vector<TaskPlan> default_tasks();

// The model of one head count on one task: equal parameters for every head count.
model::Config model_config(const Settings& settings, const TaskPlan& plan,
                           const task::TaskInfo& info, int64_t heads);

// What `train` does of a kind, at its small size, as the settings of a study.
Settings settings_of_kind(const std::string& kind);

// The run of `train` that one head count, seed and rate of Settings::data.kind stand for.
train::TextRun text_run(const Settings& settings, const TaskPlan& plan, int64_t heads,
                        uint64_t seed, double learning_rate);

train::Settings training_settings(const Settings& settings, const TaskPlan& plan, uint64_t seed,
                                  double learning_rate);

}  // namespace headlight::study
