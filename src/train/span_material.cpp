#include "train/span_material.h"

#include <fmt/format.h>

#include <algorithm>

#include "headlight/error.h"
#include "score/answer.h"
#include "task/encoder_task.h"
#include "task/length_buckets.h"
#include "task/random.h"
#include "task/spans.h"
#include "train/held_out_questions.h"

namespace headlight::train {

namespace fs = std::filesystem;

TextMaterial prepare_spans(const TextRun& run, const FromCheckpoint& from) {
  if (run.settings.label_smoothing > 0)
    throw Error(ErrorKind::usage, "--label-smoothing is for what is written; leave it away");
  int64_t empty = 0;
  const auto read_some = [&](const std::vector<fs::path>& files) {
    std::vector<task::Question> questions = task::read_questions(files);
    empty += static_cast<int64_t>(std::erase_if(questions, task::is_without_text));
    if (std::ranges::all_of(questions, [](const auto& one) { return one.answer.empty(); }))
      throw Error(ErrorKind::bad_input,
                  fmt::format("{}: holds no question with an answer", names_of(files)));
    return questions;
  };
  std::vector<task::Question> training = read_some(run.data);
  std::vector<task::Question> held_out =
      run.valid.empty() ? hold_out_questions(training) : read_some(run.valid);
  const task::SpanModel marker = task::span_model(from.model, run.from);
  task::ReadTexts windows = task::marked_windows(marker, training, names_of(run.data));
  task::ReadTexts held_out_windows =
      task::marked_windows(marker, held_out, names_of(run.valid.empty() ? run.data : run.valid));
  if (windows.texts.empty() || held_out_windows.texts.empty())
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: holds too few questions about texts to learn from some and to "
                            "hold others out for validation",
                            names_of(run.data)));
  uint64_t content = 0;
  for (const task::ReadTexts* side : {&windows, &held_out_windows})
    for (size_t i = 0; i < side->texts.size(); ++i)
      content = task::hash_of(side->spans[i], task::hash_of(side->texts[i], content));
  TextMaterial material{.task = nullptr,
                        .held_out = {},
                        .judged = {},
                        .asked = {},
                        .source = marker.tokenizer,
                        .target = marker.tokenizer,
                        .config = from.model.config,
                        .labels = {},
                        .forbidden = {},
                        .from = from,
                        .pictures = {},
                        .pairs = static_cast<int64_t>(training.size()),
                        .held_out_pairs = static_cast<int64_t>(held_out.size()),
                        .empty = empty};
  for (const size_t i : task::evenly_chosen(held_out.size(), kHeldOutMost))
    material.asked.push_back(held_out[i]);
  material.task = task::make_encoder_task(fmt::format("answer (content {:016x})", content),
                                          std::move(windows), std::move(held_out_windows),
                                          std::max<int64_t>(material.config.padding_token, 0));
  material.held_out = material.task->test_set(kHeldOutMost);
  return material;
}

double exact_spans(const TextMaterial& material, const model::Transformer& model) {
  task::Marking how;
  for (const task::Question& one : material.asked) how.unanswerable |= one.answer.empty();
  const auto marked = task::mark_answers({model, material.source}, material.asked, how);
  double right = 0;
  for (size_t i = 0; i < marked.size(); ++i) {
    const std::string text = marked[i].empty() ? "" : marked[i][0].text;
    right += double(score::compare_answers(text, material.asked[i].answer).exact);
  }
  return 100 * right / double(marked.size());
}

}  // namespace headlight::train
