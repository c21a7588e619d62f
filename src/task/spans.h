// Models that mark the answer to a question in a text, as BERT learns it from SQuAD.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "model/transformer.h"
#include "task/encoder_task.h"
#include "task/questions.h"
#include "task/text_model.h"
#include "text/tokenizer.h"

namespace headlight::task {

struct SpanModel {
  model::Transformer model;
  text::Tokenizer tokenizer;
};

// Throws Error (bad_input) if the folder's tokenizer and the model do not belong together.
SpanModel span_model(model::Transformer model, const std::filesystem::path& folder);

struct Marking {
  int64_t nbest = 1;          // answers a question
  int64_t batch = 32;         // windows at once
  bool unanswerable = false;  // no answer where the first token scores higher (SQuAD 2.0)
};

// As models are trained on SQuAD:
inline constexpr int64_t kLongestAnswer = 30;  // tokens
inline constexpr int64_t kWindow = 384;  // tokens at once, with the question; models may have fewer
inline constexpr int64_t kOverlap = 128;  // tokens that two windows of one context share

// What a model learns to mark answers from: every window of every question with the first and the
// last token of the answer, or twice the first token of all where the answer is not in the window
// or there is none. Questions without text are left out. Throws Error (bad_input) for an answer
// that its context does not hold; `where` names the file.
ReadTexts marked_windows(const SpanModel& model, const std::vector<Question>& questions,
                         const std::string& where);

// For every question up to `nbest` answers, best first: pieces of its context, each text once. The
// score is the logit of the first token's beginning plus that of the last one's end (Devlin et al.
// 2019). None for a question or context without text. A context that does not fit is read in
// windows. Throws Error (bad_input) for a question that leaves no room; `where` and `first` name
// it, and `progress` hears how many questions are done and may stop, as in write_lines().
std::vector<std::vector<Written>> mark_answers(
    const SpanModel& model, const std::vector<Question>& questions, const Marking& how,
    const std::string& where = "", int64_t first = 1,
    const std::function<bool(int64_t done)>& progress = {});

}  // namespace headlight::task
