#include "train/fact_material.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "headlight/error.h"
#include "task/facts.h"
#include "task/random.h"
#include "tensorfile/atomic_file.h"
#include "text/learned_pieces.h"
#include "text/letter_case.h"
#include "train/held_out_questions.h"

namespace headlight::train {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_stories(const std::vector<fs::path>& files, const std::string& why) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: {}", names_of(files), why));
}

std::vector<std::string> answers_of(const TextRun& run,
                                    const std::vector<task::Question>& questions) {
  std::set<std::string> all;
  for (const task::Question& one : questions) all.insert(one.answer);
  if (all.size() == 1)
    refuse_stories(run.data,
                   fmt::format("every question has the answer \"{}\"; there must be two to learn "
                               "from at least",
                               *all.begin()));
  return {all.begin(), all.end()};
}

// Sentences as one token after another, without what begins and ends a text.
void learn_sentences(const TextRun& run, const std::vector<task::Question>& questions,
                     const fs::path& folder) {
  std::vector<std::string> lines;
  const auto take = [&](const std::string& sentence) {
    lines.push_back(run.lower_case ? text::lower_case_text(sentence) : sentence);
  };
  for (const task::Question& one : questions) {
    take(one.question);
    std::ranges::for_each(one.facts, take);
  }
  const nlohmann::ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                         {"pad_token", "<pad>"},
                                         {"unk_token", "<unk>"},
                                         {"clean_up_tokenization_spaces", false}};
  tensorfile::write_file_atomically(folder / "tokenizer_config.json", config.dump() + "\n");
  // Last: a folder that has it has all.
  tensorfile::write_file_atomically(
      folder / "tokenizer.json",
      text::tokenizer_json(text::learn_pieces(lines, run.vocabulary),
                           {.lower_case = run.lower_case, .begin = false, .end = false})
              .dump() +
          "\n");
}

// An answer that is none of `answers` has no loss.
task::ReadTexts stories_of(const std::vector<task::Question>& questions,
                           const text::Tokenizer& tokenizer,
                           const std::vector<std::string>& answers, const task::StorySize& size) {
  task::ReadTexts stories;
  for (const task::Question& one : questions) {
    const auto answer = std::ranges::find(answers, one.answer);
    stories.texts.push_back(task::story_of(tokenizer, one, size, false));
    stories.classes.push_back(answer == answers.end() ? task::kNotScored
                                                      : answer - answers.begin());
  }
  return stories;
}

// Answers that nothing is learned about count as wrong, as in published results; where there are no
// others, the data do not belong together.
void check_answers(const std::vector<task::Question>& questions,
                   const std::vector<std::string>& answers, const std::vector<fs::path>& files) {
  const auto known = [&](const task::Question& one) {
    return std::ranges::count(answers, one.answer) > 0;
  };
  if (std::ranges::none_of(questions, known))
    refuse_stories(files, fmt::format("no question has an answer that is among those to learn "
                                      "from: {}; the first has \"{}\"",
                                      fmt::join(answers, ", "), questions[0].answer));
}

}  // namespace

TextMaterial prepare_facts(const TextRun& run, const fs::path& folder) {
  int64_t empty = 0;
  const auto read_some = [&](const std::vector<fs::path>& files) {
    std::vector<task::Question> questions = task::read_questions(files);
    if (std::ranges::any_of(questions, [](const task::Question& one) {
          return one.facts.empty() && !one.context.empty();
        }))
      refuse_stories(files,
                     "facts are read from stories whose lines are numbered, beginning with 1; "
                     "--no-facts reads questions of other forms");
    empty += static_cast<int64_t>(std::erase_if(questions, [](const task::Question& one) {
      return one.answer.empty() || task::is_without_text(one);
    }));
    if (questions.empty())
      refuse_stories(files, "holds no question with an answer and facts before it");
    return questions;
  };
  std::vector<task::Question> training = read_some(run.data);
  std::vector<task::Question> held_out =
      run.valid.empty() ? hold_out_questions(training) : read_some(run.valid);
  if (training.empty() || held_out.empty())
    refuse_stories(run.data,
                   "holds too few questions to learn from some and to hold others out for "
                   "validation");
  int64_t too_long = 0;
  for (std::vector<task::Question>* side : {&training, &held_out}) {
    too_long += static_cast<int64_t>(std::erase_if(*side, [&](const task::Question& one) {
      return std::ssize(one.facts) >= run.length;  // the question is a place as well
    }));
    if (side->empty())
      refuse_stories(run.data, fmt::format("every question has {} facts or more before it; "
                                           "--length says how many there may be, and the question",
                                           run.length));
  }
  const std::vector<std::string> answers = answers_of(run, training);
  check_answers(held_out, answers, run.valid.empty() ? run.data : run.valid);
  if (!fs::exists(folder / "tokenizer.json")) learn_sentences(run, training, folder);
  const text::Tokenizer tokenizer = text::read_tokenizer(folder);
  const task::StorySize size{std::max(task::longest_sentence(tokenizer, training),
                                      task::longest_sentence(tokenizer, held_out)),
                             run.length};
  task::ReadTexts read = stories_of(training, tokenizer, answers, size);
  task::ReadTexts read_held_out = stories_of(held_out, tokenizer, answers, size);
  uint64_t content = 0;
  for (const std::string& answer : answers) content = task::hash_of(answer, content);
  for (const task::ReadTexts* side : {&read, &read_held_out})
    for (size_t i = 0; i < side->texts.size(); ++i)
      content = task::hash_of(side->texts[i],
                              task::mix(content, static_cast<uint64_t>(side->classes[i])));
  TextMaterial material{
      .task = nullptr,
      .held_out = {},
      .judged = {},
      .asked = {},
      .source = tokenizer,
      .target = tokenizer,
      .config = config_of(run, tokenizer.id_limit(), std::ssize(answers), size.sentence_tokens),
      .labels = answers,
      .forbidden = {},
      .from = {},
      .pictures = {},
      .pairs = std::ssize(read.texts),
      .held_out_pairs = std::ssize(read_held_out.texts),
      .empty = empty,
      .too_long = too_long};
  material.task = task::make_facts_task(fmt::format("answer (content {:016x})", content),
                                        std::move(read), std::move(read_held_out), size);
  material.held_out = material.task->test_set(kHeldOutMost);
  return material;
}

}  // namespace headlight::train
