// Learning to write: batches of sequences that are about as long as each other.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "task/task.h"

namespace headlight::task {

using Sequence = std::vector<int32_t>;

// Sources or pictures as the encoder reads them, and targets as they are to be written, each with
// its end. Neither of them: a language model.
struct Sequences {
  std::vector<Sequence> sources, targets;
  std::vector<at::Tensor> pictures{};  // [C, height, width], all of one size
  int64_t picture_places = 0;          // for how many tokens a picture counts
};

// `size` of train_batch() is how many tokens a batch has at most, padding included, on its longer
// side; a single longer pair makes a batch of its own. Every pair comes once an epoch. `begin` is
// what the decoder reads first, `padding` what rows are filled up with; `show` writes a symbol in a
// picture (none: its number).
std::unique_ptr<Task> make_sequences_task(std::string name, Sequences training, Sequences held_out,
                                          int64_t begin, int64_t padding,
                                          std::function<std::string(int64_t)> show = {});

}  // namespace headlight::task
