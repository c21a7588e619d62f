// What a resume needs, in one file that is replaced as a whole.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/adam_step.h"
#include "model/transformer.h"
#include "train/trainer.h"

namespace headlight::train {

struct TrainingState {
  int64_t step = 0;
  double seconds = 0;             // in steps
  double evaluation_seconds = 0;  // in points of the curve
  double loss_sum = 0;            // since the last point of the curve
  int64_t loss_count = 0;         // steps in loss_sum
  std::vector<Point> curve;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainingState, step, seconds, evaluation_seconds, loss_sum,
                                   loss_count, curve)

// `identity` tells runs apart: settings, config, task and matrix library.
void save_training(const std::filesystem::path& file, const nlohmann::json& identity,
                   const TrainingState& state, const std::vector<model::NamedTensor>& parameters,
                   const model::AdamState& moments,
                   const std::vector<model::NamedTensor>& averages);

// False if there is no such file. Fills parameters, moments and averages (none, or one for every
// parameter) in place.
bool load_training(const std::filesystem::path& file, const nlohmann::json& identity,
                   TrainingState& state, const std::vector<model::NamedTensor>& parameters,
                   model::AdamState& moments, const std::vector<model::NamedTensor>& averages);

}  // namespace headlight::train
