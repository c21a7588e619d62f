#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "headlight/error.h"
#include "model/adam_step.h"
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
          {"linear_backend", settings.precision == model::Precision::float32
                                 ? nlohmann::json(model::linear_backend())
                                 : nlohmann::json(settings.precision)},
          {"threads", at::get_num_threads()}};
}

// All processes find the same; the first one says it.
[[noreturn]] void diverged(const char* what, int64_t step, const Settings& settings,
                           const Processes& processes) {
  throw Error(
      ErrorKind::bad_input,
      !processes.first()
          ? ""
          : fmt::format("training diverged: the {} is not a number at step {} (learning rate {}). "
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

// Adds up over the processes what each found in its rows: gradients, and `numbers` beside them. A
// parameter without a gradient gets one of zeros.
std::vector<double> summed(const Processes& processes,
                           const std::vector<model::NamedTensor>& parameters,
                           const std::vector<double>& numbers) {
  if (processes.size() == 1) return numbers;
  auto places = static_cast<int64_t>(numbers.size());
  for (const model::NamedTensor& p : parameters) places += p.tensor.numel();
  // One message costs less than one for each.
  const at::Tensor all = at::zeros({places}, at::kFloat);
  auto* beside = all.data_ptr<float>();
  for (size_t i = 0; i < numbers.size(); ++i) beside[i] = static_cast<float>(numbers[i]);
  auto place = static_cast<int64_t>(numbers.size());
  for (const model::NamedTensor& p : parameters) {
    at::Tensor& gradient = p.tensor.mutable_grad();
    const at::Tensor sum = all.narrow(0, place, p.tensor.numel()).view(p.tensor.sizes());
    if (gradient.defined()) sum.copy_(gradient);
    gradient = sum;
    place += p.tensor.numel();
  }
  processes.sum(all);
  return {beside, beside + numbers.size()};
}

int64_t scored_places(const at::Tensor& labels) {
  return labels.ne(model::kUnscored).sum().item<int64_t>();
}

// What the first process decides after a step.
enum Next : int64_t { kGoOn, kFinished, kStopped };

}  // namespace

Result train(const model::Transformer& transformer, const task::Task& task,
             const task::Batch& test_set, const Settings& settings,
             const std::filesystem::path& folder, const Observer& observer, const Judge& judge,
             const Saver& save, const Processes& processes) {
  validate(settings);
  const std::vector<model::NamedTensor> parameters = model::parameters(transformer);
  model::AdamState moments = model::adam_state(parameters);
  const bool averages_steps = settings.average > 0 && processes.first();
  const model::Transformer outcome = averages_steps ? model::copy_of(transformer) : transformer;
  const std::vector<model::NamedTensor> averages =
      averages_steps ? model::parameters(outcome) : std::vector<model::NamedTensor>();

  TrainingState state;
  const std::filesystem::path state_file = folder / "training.safetensors";
  const nlohmann::json identity = identity_of(transformer.config, task, settings);
  const std::string learned = processes.text_of_first([&] { return task.info().name; });
  processes.together([&] {
    if (task.info().name != learned)
      throw Error(ErrorKind::bad_input,
                  fmt::format("this process has other data than the first one: {}, not {}. The "
                              "files must be the same on every host",
                              task.info().name, learned));
  });
  state.step = processes.number_of_first([&] {
    load_training(state_file, identity, state, parameters, moments, averages);
    return state.step;
  });
  moments.steps = state.step;
  for (size_t i = 0; i < parameters.size(); ++i)
    for (const at::Tensor& tensor : {parameters[i].tensor, moments.first[i], moments.second[i]})
      processes.take_from_first(tensor);
  const auto checkpoint = [&] {
    save_training(state_file, identity, state, parameters, moments, averages);
  };
  const auto share_of_budget = [&] {
    if (settings.budget_seconds <= 0) return 0.0;
    return std::min(1.0, (state.seconds + state.evaluation_seconds) / settings.budget_seconds);
  };
  const auto out_of_time = [&] { return share_of_budget() >= 1; };
  const auto reached = [&] {
    return !state.curve.empty() && state.curve.back().test_accuracy >= settings.target_accuracy;
  };
  const auto ended = [&] {
    return state.step >= settings.steps || out_of_time() || (settings.stop_at_target && reached());
  };

  Result result;
  auto last_checkpoint = Clock::now();
  bool wants_to_stop = false;  // this process, when it is not the first: that one hears of it
  // One step over the rows that are this process's; the loss is that of all rows.
  const auto step = [&](bool& another_wants_to_stop) {
    const auto start = Clock::now();
    const task::Batch batch = task.train_batch(settings.seed, state.step, settings.batch);
    const model::Inputs inputs =
        rows(inputs_of(batch), processes.rank(), batch.size, processes.size());
    const at::Tensor all_labels = labels_of(batch);
    const at::Tensor labels =
        all_labels.slice(0, processes.rank(), batch.size, processes.size()).contiguous();
    model::Pass pass;
    pass.training = true;
    pass.label_smoothing = settings.label_smoothing;
    pass.dropout_seed = task::mix(settings.seed, uint64_t(state.step));
    if (!processes.first())
      pass.dropout_seed = task::mix(pass.dropout_seed, uint64_t(processes.rank()));
    double nats = 0;
    if (labels.size(0) > 0) {
      const model::UsePrecision precision(settings.precision);
      at::Tensor loss = model::loss(transformer, inputs, labels, pass);
      // The mean over the labels of all rows is the sum of these.
      if (processes.size() > 1)
        loss = loss * (double(scored_places(labels)) /
                       double(std::max<int64_t>(1, scored_places(all_labels))));
      nats = loss.item<double>();
      loss.backward();
    }
    const std::vector<double> sums =
        summed(processes, parameters,
               {nats, wants_to_stop ? 1.0 : 0.0, processes.first() ? share_of_budget() : 0.0});
    nats = sums[0];
    another_wants_to_stop = sums[1] > 0;
    if (!std::isfinite(nats)) diverged("loss", state.step, settings, processes);
    model::AdamSettings adam;
    adam.learning_rate = learning_rate_at(settings, state.step, sums[2]);
    adam.beta2 = settings.beta2;
    adam.weight_decay = settings.weight_decay;
    adam.clip_norm = settings.clip_norm;
    if (!std::isfinite(model::adam_step(parameters, moments, adam)))
      diverged("gradient", state.step, settings, processes);
    ++state.step;
    take_into_average(averages, parameters, settings.average, state.step);
    state.loss_sum += nats;
    ++state.loss_count;
    state.seconds += seconds_since(start);
    return nats;
  };
  const auto look = [&](double nats, bool another_wants_to_stop) -> int64_t {
    if (state.step % settings.evaluate_every == 0 || state.step == settings.steps ||
        out_of_time()) {
      const auto evaluated = Clock::now();
      result.test = evaluate(outcome, test_set);
      state.curve.push_back({state.step, state.loss_sum / double(state.loss_count),
                             result.test.loss, result.test.accuracy,
                             judge ? judge(outcome, result.test) : -1});
      state.evaluation_seconds += seconds_since(evaluated);
      state.loss_sum = 0;
      state.loss_count = 0;
    }
    const bool go_on =
        (!observer || observer(state.step, nats, state.curve)) && !another_wants_to_stop;
    if (!go_on || seconds_since(last_checkpoint) >= settings.checkpoint_seconds) {
      checkpoint();
      last_checkpoint = Clock::now();
    }
    if (!go_on && state.step < settings.steps) return kStopped;
    return ended() ? kFinished : kGoOn;
  };
  const auto finish = [&]() -> int64_t {
    // A run that was already complete when it was loaded has not been evaluated in this sitting.
    if (result.test.items.empty()) result.test = evaluate(outcome, test_set);
    checkpoint();
    save(outcome, folder);
    return 0;
  };

  try {
    int64_t next = processes.number_of_first([&] { return ended() ? kFinished : kGoOn; });
    while (next == kGoOn) {
      bool another_wants_to_stop = false;
      const double nats = step(another_wants_to_stop);
      next = processes.number_of_first([&] { return look(nats, another_wants_to_stop); });
      wants_to_stop = !processes.first() && observer && !observer(state.step, nats, state.curve);
    }
    result.finished = next == kFinished;
    if (result.finished) processes.number_of_first(finish);
  } catch (const LostProcess& lost) {
    if (processes.first()) checkpoint();
    result.finished = false;
    result.lost = lost.what();
  }
  result.steps = state.step;
  result.seconds = state.seconds;
  result.curve = state.curve;
  for (const Point& point : state.curve) {
    if (point.test_accuracy < settings.target_accuracy) continue;
    result.steps_to_target = point.step;
    break;
  }
  return result;
}

}  // namespace headlight::train
