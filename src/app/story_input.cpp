#include "app/story_input.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "app/token_rows.h"
#include "headlight/error.h"
#include "task/facts.h"
#include "text/lines.h"

namespace headlight::app {
namespace {

struct Asked {
  std::string where;  // for messages
  std::vector<task::Question> questions;
};

Asked asked_in(const InputOptions& o) {
  Asked asked;
  if (o.text) {
    std::istringstream story(*o.text);
    asked = {"--text", task::questions_in(text::read_lines(story, "--text"), "--text")};
  } else if (!o.file.empty() || !o.lines.empty()) {
    const std::filesystem::path& file = o.file.empty() ? o.lines : o.file;
    asked = {file.string(), task::read_questions({file})};
  } else {
    throw Error(ErrorKind::usage,
                fmt::format("{} reads stories with questions, their lines numbered as bAbI's: give "
                            "them by --text, --file or --lines",
                            o.model.string()));
  }
  if (asked.questions.empty())
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: holds no question; one ends with a question mark, or with a tab "
                            "and its answer",
                            asked.where));
  if (o.lines.empty()) asked.questions = {asked.questions.back()};
  return asked;
}

std::vector<std::string> sentences_of(const task::Question& one) {
  std::vector<std::string> sentences = {one.question};
  sentences.insert(sentences.end(), one.facts.begin(), one.facts.end());
  return sentences;
}

}  // namespace

ModelInput read_stories(const InputOptions& o, const model::Transformer& model) {
  const task::FactModel facts = task::fact_model(model, o.model);
  const task::StorySize size = task::story_size(model.config);
  const Asked asked = asked_in(o);
  ModelInput result;
  std::vector<TokenRow> rows;
  std::vector<int64_t> labels;
  int64_t unknown = 0;
  for (const task::Question& one : asked.questions) {
    TokenRow& row = rows.emplace_back();
    row.where = fmt::format("{}: question {}", asked.where, one.number);
    try {
      const task::Sequence story = task::story_of(facts.tokenizer, one, size, false);
      row.ids = {story.begin(), story.end()};
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", row.where, error.what()));
    }
    row.types.resize(row.ids.size());
    result.words.push_back({.tokens = sentences_of(one), .separators = {}});
    const auto answer = std::ranges::find(facts.answers, one.answer);
    const bool known = answer != facts.answers.end();
    labels.push_back(known ? answer - facts.answers.begin() : model::kUnscored);
    unknown += !known && !one.answer.empty();
  }
  const TokenBatch batch = padded(rows, 0);
  result.inputs.tokens = batch.ids.unflatten(1, {-1, size.sentence_tokens});
  if (batch.mask.defined())
    result.inputs.mask =
        batch.mask.unflatten(1, {-1, size.sentence_tokens}).select(2, 0).contiguous();
  result.labels = at::tensor(labels);
  if (unknown > 0)
    result.note = fmt::format(
        "{} answers are none of the model's; losses are those of the other questions.", unknown);
  return result;
}

}  // namespace headlight::app
