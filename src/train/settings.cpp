#include "train/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "headlight/error.h"

namespace headlight::train {
namespace {

void require(bool holds, const char* setting, double value, const char* right) {
  if (!holds)
    throw Error(ErrorKind::usage, fmt::format("{} is {}, but must be {}", setting, value, right));
}

}  // namespace

void validate(const Settings& s) {
  require(s.steps >= 1, "steps", double(s.steps), "at least 1");
  require(s.batch >= 1, "batch", double(s.batch), "at least 1");
  require(std::isfinite(s.learning_rate) && s.learning_rate > 0, "learning rate", s.learning_rate,
          "a positive number, for example 0.001");
  require(s.warmup >= 0 && s.warmup < s.steps, "warmup", double(s.warmup),
          "between 0 and the number of steps");
  require(std::isfinite(s.weight_decay) && s.weight_decay >= 0, "weight decay", s.weight_decay,
          "0 or more");
  require(std::isfinite(s.clip_norm) && s.clip_norm >= 0, "clip norm", s.clip_norm,
          "0 (no clipping) or more");
  require(s.beta2 > 0 && s.beta2 < 1, "beta2", s.beta2, "above 0 and below 1");
  require(s.label_smoothing >= 0 && s.label_smoothing < 1, "label smoothing", s.label_smoothing,
          "at least 0 and below 1");
  require(std::isfinite(s.average) && s.average >= 0, "average", s.average, "0 (none) or more");
  require(std::isfinite(s.budget_seconds) && s.budget_seconds >= 0, "budget", s.budget_seconds,
          "0 (none) or more seconds");
  require(s.evaluate_every >= 1, "evaluate every", double(s.evaluate_every), "at least 1");
  require(s.target_accuracy > 0 && s.target_accuracy <= 1, "target accuracy", s.target_accuracy,
          "above 0 and at most 1");
  if (s.optimizer == Optimizer::adam)
    require(s.weight_decay == 0, "weight decay", s.weight_decay, "0 with adam; adamw has it");
  if (s.schedule == Schedule::inverse_sqrt)
    require(s.warmup >= 1, "warmup", double(s.warmup), "at least 1 with the inverse_sqrt schedule");
}

double learning_rate_at(const Settings& s, int64_t step, double spent) {
  const double warm = s.warmup == 0 ? 1 : std::max(double(step + 1) / double(s.warmup), 10 * spent);
  if (warm < 1) return s.learning_rate * warm;
  switch (s.schedule) {
    case Schedule::constant:
      return s.learning_rate;
    case Schedule::cosine: {
      const double steps_done =
          double(step - s.warmup) / double(std::max<int64_t>(1, s.steps - s.warmup));
      const double done = std::clamp(std::max(steps_done, spent), 0.0, 1.0);
      return s.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
    }
    case Schedule::inverse_sqrt:
      return s.learning_rate * std::sqrt(std::min(1.0, double(s.warmup) / double(step + 1)));
  }
  return s.learning_rate;
}

}  // namespace headlight::train
