// What `train --from` goes on from: a checkpoint made fit for what it is to learn.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/transformer.h"
#include "train/text_run.h"

namespace headlight::train {

struct FromCheckpoint {
  std::filesystem::path folder;
  model::Transformer model;
  nlohmann::ordered_json config;    // the config.json of what is trained
  std::vector<std::string> labels;  // of a classifier, by class
};

// run.from with its weights. A classifier keeps its classes if `labels` are among them; otherwise,
// and where an encoder has no classes yet, it gets an output of its own for the labels. An encoder
// that is to answer marks spans (task/spans.h), if need be by a new output. Throws Error
// (bad_input) for a checkpoint that the run's kind cannot go on from, saying which can, and as
// model::load().
FromCheckpoint from_checkpoint(const TextRun& run, const std::vector<std::string>& labels);

// Writes the model as the checkpoint it came from was written, with all that stands beside its
// weights there.
void save_like(const FromCheckpoint& from, const model::Transformer& model,
               const std::filesystem::path& folder);

}  // namespace headlight::train
