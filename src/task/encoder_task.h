// Learning to read: batches of texts for an encoder that are about as long as each other, each with
// its class, with a span to be marked, or with tokens in it to be guessed.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "task/sequences_task.h"
#include "task/task.h"

namespace headlight::task {

struct ReadTexts {
  std::vector<Sequence> texts;   // as the encoder reads them
  std::vector<int64_t> classes;  // of each; none: tokens are masked, or spans are marked
  std::vector<Sequence> types;   // of the tokens of each; none: all 0
  std::vector<std::array<int32_t, 2>> spans;  // of each, its first token and its last
};

// How many of the classes are the commonest one; 0 of none.
double most_frequent_share(const std::vector<int64_t>& classes);

inline constexpr double kMaskedShare = 0.15;  // of a text's tokens, but one at least

// How tokens are masked (Devlin et al. 2019, section 3.1): of those that are guessed eight in ten
// become `mask`, one any of [first, last), and one stays. Others than [first, last) are never
// guessed.
struct Masking {
  int64_t mask = 0, first = 0, last = 0;
};

// `size` of train_batch() is how many tokens a batch has at most, padding included; a single longer
// text makes a batch of its own. Every text comes once an epoch. What is masked depends on the
// seed, the step and the row; of held-out texts it is always the same. Rows are filled up with
// `padding`; `show` writes a symbol in a picture (none: its number).
std::unique_ptr<Task> make_encoder_task(std::string name, ReadTexts training, ReadTexts held_out,
                                        int64_t padding, const Masking& masking = {},
                                        std::function<std::string(int64_t)> show = {});

}  // namespace headlight::task
