// The training loop: one model on one task, from a seed to a checkpoint.
//
// A run owns a folder. Its files are replaced as a whole, so that a process killed at any moment
// leaves a folder that resumes, and a resumed run ends with the numbers of an uninterrupted one:
// data, dropout and learning rate depend on the step alone (unless a budget of time ends the run).
//   training.safetensors   parameters, Adam's moments, step and curve: what a resume needs
//   config.json, model.safetensors   the trained model, as the Saver writes it at the end; averaged
//                                    if the settings say so
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/transformer.h"
#include "task/task.h"
#include "train/evaluate.h"
#include "train/processes.h"
#include "train/settings.h"

namespace headlight::train {

// One point of the training curve.
struct Point {
  int64_t step = 0;       // steps done
  double train_loss = 0;  // nats, mean over the steps since the point before
  double test_loss = 0;   // nats
  double test_accuracy = 0;
  double score = -1;  // of a Judge, percent; negative: nobody judged
};
template <typename Json>
void to_json(Json& json, const Point& p) {
  json = Json{{"step", p.step},
              {"train_loss", p.train_loss},
              {"test_loss", p.test_loss},
              {"test_accuracy", p.test_accuracy}};
  if (p.score >= 0) json["score"] = p.score;
}
template <typename Json>
void from_json(const Json& json, Point& p) {
  json.at("step").get_to(p.step);
  json.at("train_loss").get_to(p.train_loss);
  json.at("test_loss").get_to(p.test_loss);
  json.at("test_accuracy").get_to(p.test_accuracy);
  p.score = json.value("score", -1.0);
}

struct Result {
  int64_t steps = 0;
  double seconds = 0;  // of training steps, evaluation left out, over all sittings
  std::vector<Point> curve;
  std::optional<int64_t> steps_to_target;  // first point at or above the target accuracy
  Evaluation test;
  bool finished = true;  // false: stopped by the observer; the folder resumes
  // Stopped because another process is gone, and which one; empty where another process says it.
  std::optional<std::string> lost;
};

// Looks on. Called after every step with the last loss; false stops the run after a checkpoint.
using Observer = std::function<bool(int64_t step, double loss, const std::vector<Point>& curve)>;

// Says how good a model is by the task's own measure, in percent; called at every point of the
// curve, with what it gets of the test set.
using Judge = std::function<double(const model::Transformer&, const Evaluation&)>;

// Writes the trained model into the folder.
using Saver = std::function<void(const model::Transformer&, const std::filesystem::path& folder)>;

// Trains the model, in place, from where the folder stands, or from its beginning. Throws Error if
// the folder holds a run with other settings, and if the loss or the gradient stops being a number:
// the last checkpoint stays.
//
// In several processes each takes its share of the rows of every batch, and the gradients and
// losses add up to those of the whole batch, to rounding; dropout masks differ from process to
// process and are those of seed, step and rank. The first process alone reads and writes the
// folder, evaluates and ends the run; the results of the others say only whether it finished. Their
// observers are asked too, and the run stops a step after one says so. If a process is lost, the
// first one keeps the last whole step. A run may go on in another number of processes. Throws
// bad_input if they do not have the same data.
Result train(
    const model::Transformer& transformer, const task::Task& task, const task::Batch& test_set,
    const Settings& settings, const std::filesystem::path& folder, const Observer& observer,
    const Judge& judge = {},
    const Saver& save = [](const auto& model, const auto& to) { model::save(model, to); },
    const Processes& processes = {});

}  // namespace headlight::train
