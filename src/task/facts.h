// Answers to questions about stories by a model whose places are sentences: the question, then what
// is told before it. An answer is one of the model's classes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/transformer.h"
#include "task/encoder_task.h"
#include "task/questions.h"
#include "task/text_model.h"
#include "text/tokenizer.h"

namespace headlight::task {

struct FactModel {
  model::Transformer model;
  text::Tokenizer tokenizer;
  std::vector<std::string> answers;  // by class
};

// Whether a model reads a story as this file writes it.
bool reads_facts(const model::Config& config);

// Throws Error (bad_input) if the folder's tokenizer and the model do not belong together.
FactModel fact_model(model::Transformer model, const std::filesystem::path& folder);

// How much is read of a story.
struct StorySize {
  int64_t sentence_tokens = 0;  // of each sentence
  int64_t places = 0;           // the question and facts
};
StorySize story_size(const model::Config& config);

// The tokens of a question and of its facts, the newest first, each filled up with padding. What
// does not fit, old facts and the ends of sentences, is left out with `cut`; otherwise throws Error
// (bad_input), and always for a question with a text and no facts.
Sequence story_of(const text::Tokenizer& tokenizer, const Question& question, const StorySize& size,
                  bool cut);

// The most tokens that a sentence of these questions has.
int64_t longest_sentence(const text::Tokenizer& tokenizer, const std::vector<Question>& questions);

// With this probability an empty place stands before a fact in training, anew at every step, so
// that a model learns what comes after what and not places by heart (Sukhbaatar et al. 2015,
// section 4.1).
inline constexpr double kEmptyPlaces = 0.1;

// Learning to answer: `size` of train_batch() is how many places a batch has at most, padding
// included. `stories` are of story_of() with their classes.
std::unique_ptr<Task> make_facts_task(std::string name, ReadTexts training, ReadTexts held_out,
                                      const StorySize& size);

struct Answering {
  int64_t nbest = 1;
  int64_t batch = 32;  // questions at once
  bool cut = false;    // stories that are longer than the model reads
};

// For every question its likeliest answers, best first, with the logarithms of their
// probabilities; none for a question without text. `where`, `first` and `progress` as for
// write_lines().
std::vector<std::vector<Written>> answer_by_facts(
    const FactModel& model, const std::vector<Question>& questions, const Answering& how,
    const std::string& where = "", int64_t first = 1,
    const std::function<bool(int64_t done)>& progress = {});

}  // namespace headlight::task
