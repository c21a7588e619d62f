// How a model is trained: optimizer, learning rate over time, and when to look.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "model/linear.h"

namespace headlight::train {

enum class Optimizer { adam, adamw };
enum class Schedule { constant, cosine, inverse_sqrt };

struct Settings {
  int64_t steps = 800;
  int64_t batch = 64;
  Optimizer optimizer = Optimizer::adam;
  double learning_rate = 1e-3;
  Schedule schedule = Schedule::constant;
  int64_t warmup = 0;       // steps of linear warm-up
  double weight_decay = 0;  // decoupled; adamw only
  double clip_norm = 0;     // of the whole gradient; 0: no clipping
  double beta2 = 0.999;     // of Adam's second moment
  double label_smoothing = 0;
  // The result is an average over steps in which step t has a weight of about t^average
  // (Shamir & Zhang 2013, polynomial decay): mostly the last 1/average of the run, however long
  // that was. 0: the last step alone.
  double average = 0;
  uint64_t seed = 0;  // initial numbers, data order and dropout
  int64_t evaluate_every = 25;
  double target_accuracy = 0.95;  // for "steps to target"
  bool stop_at_target = false;
  // The run ends after so much time in steps and evaluations; 0: never.
  double budget_seconds = 0;
  double checkpoint_seconds = 30;  // time between checkpoints; does not change the numbers
  // Of linear layers in steps. Not in the JSON: the identity of a run says it in its
  // linear_backend.
  model::Precision precision = model::Precision::float32;
};

// Throws Error(usage) naming the setting, its value and what would be right.
void validate(const Settings& settings);

// The learning rate of a step, counted from 0, when so much of the budget is spent (0 to 1; 0
// without one). A warm-up ends after its steps or a tenth of the budget, whatever is first.
//   constant      rate
//   cosine        from rate to 0 at the last step or the end of the budget
//   inverse_sqrt  rate * sqrt(warmup / step) after the warm-up (Vaswani et al. 2017)
double learning_rate_at(const Settings& settings, int64_t step, double spent = 0);

NLOHMANN_JSON_SERIALIZE_ENUM(Optimizer, {{Optimizer::adam, "adam"}, {Optimizer::adamw, "adamw"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Schedule, {{Schedule::constant, "constant"},
                                        {Schedule::cosine, "cosine"},
                                        {Schedule::inverse_sqrt, "inverse_sqrt"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Settings, steps, batch, optimizer, learning_rate, schedule,
                                   warmup, weight_decay, clip_norm, beta2, label_smoothing, average,
                                   seed, evaluate_every, target_accuracy, stop_at_target,
                                   budget_seconds, checkpoint_seconds)

}  // namespace headlight::train
