// From files of text to a folder with a model that writes or reads.
//
// The folder of a run: run.json (what was asked for), tokenizer.json (and target_tokenizer.json
// where what is written keeps its case, preprocessor_config.json where pictures are read,
// generation_config.json; of a run that goes on from a checkpoint all files of that but its
// weights), what train() keeps in it, and with every point of the curve the model so far. All but
// models of captions are as transformers loads them.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "task/parallel_text.h"
#include "task/questions.h"
#include "task/task.h"
#include "text/tokenizer.h"
#include "train/from_checkpoint.h"
#include "train/text_run.h"
#include "train/trainer.h"

namespace headlight::train {

struct TextMaterial {
  std::shared_ptr<task::Task> task;
  task::Batch held_out;               // for the loss
  task::ParallelText judged;          // what is written to be scored, if anything is
  std::vector<task::Question> asked;  // what spans are marked for to be scored, if they are
  text::Tokenizer source, target;
  model::Config config;
  std::vector<std::string> labels;     // classify: by class
  std::vector<int64_t> forbidden;      // tokens that a checkpoint never writes
  std::optional<FromCheckpoint> from;  // what the run goes on from; its model is trained in place
  std::map<std::string, at::Tensor> pictures;  // that the sources of captions name
  int64_t pairs = 0, held_out_pairs = 0;
  int64_t empty = 0, too_long = 0;  // pairs that were left out
  int64_t bad_images = 0;           // and pictures, of validation as well
};

// Reads and checks the data, and the folder's vocabulary or, if it has none, learns one and writes
// it there. Throws Error: bad_input naming what is wrong with which file and line, usage. Of
// several processes each reads the data, and only the first one has the folder.
TextMaterial prepare_text(const TextRun& run, const std::filesystem::path& folder,
                          const Processes& processes = {});

// The model of a run on this material, which may be that of a run with another number of heads.
model::Config config_of(const TextRun& run, const TextMaterial& material);

// What a model in `to` needs beside its weights, from the folder of its material.
void copy_tokenizers(const std::filesystem::path& from, const std::filesystem::path& to);

// What the scores of the curve are: "bleu", "rougeL", "exact_match", "chrf", "accuracy" (of labels,
// or of tokens that are masked) or "" for a language model.
std::string score_name(TextKind kind);

// Trains until its steps, its budget or the observer end it, from where the folder stands. After
// the first point of the curve the folder always holds a whole model.
Result train_text(const TextRun& run, const TextMaterial& material,
                  const std::filesystem::path& folder, const Observer& observer,
                  const Processes& processes = {});

}  // namespace headlight::train
