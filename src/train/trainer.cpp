#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "headlight/error.h"
#include "model/adam_step.h"
#include "model/checkpoint.h"
#include "model/linear.h"
#include "task/random.h"
#include "train/training_state.h"

namespace headlight::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Everything that decides the numbers of a run.
nlohmann::json identity_of(const model::Config& config, const task::Task& task,
                           const Settings& settings) {
  nlohmann::json kept = settings;
  for (const char* no_number : {"checkpoint_seconds", "budget_seconds"}) kept.erase(no_number);
  return {{"model", model::to_json(config)},
          {"task", task.info().name},
          {"settings", kept},
          {"linear_backend", model::linear_backend()},
          {"threads", at::get_num_threads()}};
}

[[noreturn]] void diverged(const char* what, int64_t step, const Settings& settings) {
  throw Error(
      ErrorKind::bad_input,
      fmt::format("training diverged: the {} is not a number at step {} (learning rate {}). "
                  "Use a lower learning rate, a warm-up or gradient clipping; the last "
                  "checkpoint is kept",
                  what, step + 1, settings.learning_rate));
}

// What the run is to end with; see Settings::average.
void take_into_average(const std::vector<model::NamedTensor>& averages,
                       const std::vector<model::NamedTensor>& parameters, double power,
                       int64_t step) {
  const c10::NoGradGuard no_gradients;
  const double weight = (power + 1) / (double(step) + power);
  for (size_t i = 0; i < averages.size(); ++i)
    averages[i].tensor.lerp_(parameters[i].tensor, weight);
}

}  // namespace

Result train(const model::Config& config, const task::Task& task, const task::Batch& test_set,
             const Settings& settings, const std::filesystem::path& folder,
             const Observer& observer, const Judge& judge) {
  validate(settings);
  model::Transformer transformer = model::initialised(config, settings.seed);
  const std::vector<model::NamedTensor> parameters = model::parameters(transformer);
  model::AdamState moments = model::adam_state(parameters);
  const bool averages_steps = settings.average > 0;
  const model::Transformer outcome = averages_steps ? model::copy_of(transformer) : transformer;
  const std::vector<model::NamedTensor> averages =
      averages_steps ? model::parameters(outcome) : std::vector<model::NamedTensor>();

  TrainingState state;
  const std::filesystem::path state_file = folder / "training.safetensors";
  const nlohmann::json identity = identity_of(config, task, settings);
  load_training(state_file, identity, state, parameters, moments, averages);
  const auto checkpoint = [&] {
    save_training(state_file, identity, state, parameters, moments, averages);
  };
  const auto out_of_time = [&] {
    return settings.budget_seconds > 0 &&
           state.seconds + state.evaluation_seconds >= settings.budget_seconds;
  };
  const auto reached = [&] {
    return !state.curve.empty() && state.curve.back().test_accuracy >= settings.target_accuracy;
  };

  Result result;
  auto last_checkpoint = Clock::now();
  while (state.step < settings.steps && !out_of_time() && !(settings.stop_at_target && reached())) {
    const auto start = Clock::now();
    const task::Batch batch = task.train_batch(settings.seed, state.step, settings.batch);
    model::Pass pass;
    pass.training = true;
    pass.label_smoothing = settings.label_smoothing;
    pass.dropout_seed = task::mix(settings.seed, uint64_t(state.step));
    const at::Tensor loss = model::loss(transformer, inputs_of(batch), labels_of(batch), pass);
    const double nats = loss.item<double>();
    if (!std::isfinite(nats)) diverged("loss", state.step, settings);
    loss.backward();
    model::AdamSettings adam;
    adam.learning_rate = learning_rate_at(settings, state.step);
    adam.beta2 = settings.beta2;
    adam.weight_decay = settings.weight_decay;
    adam.clip_norm = settings.clip_norm;
    if (!std::isfinite(model::adam_step(parameters, moments, adam)))
      diverged("gradient", state.step, settings);
    ++state.step;
    take_into_average(averages, parameters, settings.average, state.step);
    state.loss_sum += nats;
    ++state.loss_count;
    state.seconds += seconds_since(start);

    if (state.step % settings.evaluate_every == 0 || state.step == settings.steps ||
        out_of_time()) {
      const auto evaluated = Clock::now();
      result.test = evaluate(outcome, test_set);
      state.curve.push_back({state.step, state.loss_sum / double(state.loss_count),
                             result.test.loss, result.test.accuracy, judge ? judge(outcome) : -1});
      state.evaluation_seconds += seconds_since(evaluated);
      state.loss_sum = 0;
      state.loss_count = 0;
    }
    const bool go_on = !observer || observer(state.step, nats, state.curve);
    if (!go_on || seconds_since(last_checkpoint) >= settings.checkpoint_seconds) {
      checkpoint();
      last_checkpoint = Clock::now();
    }
    if (!go_on && state.step < settings.steps) {
      result.finished = false;
      break;
    }
  }

  result.steps = state.step;
  result.seconds = state.seconds;
  result.curve = state.curve;
  for (const Point& point : state.curve) {
    if (point.test_accuracy < settings.target_accuracy) continue;
    result.steps_to_target = point.step;
    break;
  }
  if (!result.finished) return result;
  // A run that was already complete when it was loaded has not been evaluated in this sitting.
  if (result.test.items.empty()) result.test = evaluate(outcome, test_set);
  checkpoint();
  model::save_for_transformers(outcome, folder);
  return result;
}

}  // namespace headlight::train
