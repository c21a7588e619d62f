// One run of a study: which one, and what came out.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "study/settings.h"
#include "train/text_training.h"
#include "train/trainer.h"

namespace headlight::study {

// What may be missing is null in JSON.
template <typename T>
nlohmann::ordered_json or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

struct RunKey {
  size_t task = 0;  // index into Settings::tasks
  int64_t heads = 1;
  uint64_t seed = 0;
  double rate = 0;

  bool operator==(const RunKey&) const = default;
};

// All runs, seed by seed: after the first seed every cell has been seen once, so that a stopped
// study has something to say and the time left can be told from what each cell took.
std::vector<RunKey> plan(const Settings& settings);

// "fetch-16-2-6_heads-4_seed-0", with "_rate-0.003" if there are several rates. Also the name of
// the run's folder below runs/.
std::string run_name(const Settings& settings, const RunKey& key);

// A task with its held-out data, shared by all of its runs.
struct Material {
  std::shared_ptr<task::Task> task;
  task::Batch test;        // what results are measured on
  task::Batch validation;  // chooses between rates; empty with one rate
  // Of what `train` learns, and where its vocabulary lies:
  std::optional<train::TextMaterial> text;
  std::filesystem::path vocabulary;
};
// `folder` is that of the study, which keeps the vocabulary of what `train` learns.
std::vector<Material> prepare(const Settings& settings, Tasks tasks,
                              const std::filesystem::path& folder);

struct RunResult {
  int64_t parameters = 0;
  int64_t steps = 0;
  double seconds = 0;               // training steps alone
  std::vector<train::Point> curve;  // measured on the test set
  double test_loss = 0, test_accuracy = 0;
  std::vector<double> items;        // accuracy of each test sequence
  std::vector<double> item_losses;  // its loss, for tasks that are judged by it
  std::optional<int64_t> steps_to_target;
  double validation_loss = 0;               // with several rates
  nlohmann::ordered_json layers;            // heads of every layer: metrics.md A, B, C, E
  nlohmann::ordered_json untrained_layers;  // the same model before training: the chance level
  nlohmann::ordered_json maps;              // small attention maps for pictures
};

// The result of a finished run, if there is one in FOLDER/runs/NAME. Throws Error (bad_input) if
// it or its model is damaged, naming the file and what to do.
std::optional<RunResult> read_result(const std::filesystem::path& run_folder);

// Trains and analyses one run, from where its folder stands. Empty if the observer stopped it.
std::optional<RunResult> carry_out(const Settings& settings, const RunKey& key,
                                   const Material& material,
                                   const std::filesystem::path& run_folder,
                                   const train::Observer& observer);

}  // namespace headlight::study
