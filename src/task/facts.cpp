#include "task/facts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "headlight/error.h"
#include "model/checkpoint.h"
#include "task/token_lines.h"

namespace headlight::task {
namespace {

std::vector<int64_t> sentence_ids(const text::Tokenizer& tokenizer, const std::string& sentence) {
  return text::encode(tokenizer, sentence, {.special_tokens = false}).ids;
}

[[noreturn]] void refuse_story(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

void append(const text::Tokenizer& tokenizer, const std::string& sentence, const StorySize& size,
            bool cut, Sequence& story) {
  std::vector<int64_t> ids = sentence_ids(tokenizer, sentence);
  if (std::ssize(ids) > size.sentence_tokens && !cut)
    refuse_story(
        fmt::format("\"{}\" has {} tokens, but the model reads {} of a sentence; shorten it, or "
                    "let answer --cut do so",
                    sentence, ids.size(), size.sentence_tokens));
  ids.resize(static_cast<size_t>(size.sentence_tokens));  // 0 is padding
  story.insert(story.end(), ids.begin(), ids.end());
}

// The likeliest classes, of equal ones the first.
std::vector<Written> best_answers(const double* scores, const std::vector<std::string>& answers,
                                  int64_t nbest) {
  std::vector<size_t> order(answers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(nbest)));
  std::vector<Written> best;
  for (const size_t i : order) best.push_back({answers[i], scores[i]});
  return best;
}

}  // namespace

bool reads_facts(const model::Config& c) {
  return c.sentence_tokens > 0 && c.output && c.output_place == model::OutputPlace::first;
}

FactModel fact_model(model::Transformer model, const std::filesystem::path& folder) {
  text::Tokenizer tokenizer = text::read_tokenizer(folder);
  check_tokenizer(tokenizer, model.encoder.tokens, folder);
  std::vector<std::string> answers = model::class_names(folder, model.config.classes);
  return {std::move(model), std::move(tokenizer), std::move(answers)};
}

StorySize story_size(const model::Config& c) { return {c.sentence_tokens, c.positions}; }

Sequence story_of(const text::Tokenizer& tokenizer, const Question& one, const StorySize& size,
                  bool cut) {
  if (one.facts.empty() && !one.context.empty())
    refuse_story(
        "this model reads facts of a story, each on a line with its number, and no text beside "
        "a question");
  const auto room = static_cast<size_t>(size.places - 1);
  if (one.facts.size() > room && !cut)
    refuse_story(fmt::format(
        "there are {} facts before the question, but the model reads {}; shorten the story, or let "
        "answer --cut leave out the oldest",
        one.facts.size(), room));
  Sequence story;
  append(tokenizer, one.question, size, cut, story);
  for (size_t i = 0; i < std::min(room, one.facts.size()); ++i)
    append(tokenizer, one.facts[i], size, cut, story);
  return story;
}

int64_t longest_sentence(const text::Tokenizer& tokenizer, const std::vector<Question>& questions) {
  int64_t longest = 0;
  const auto look = [&](const std::string& sentence) {
    longest = std::max(longest, std::ssize(sentence_ids(tokenizer, sentence)));
  };
  for (const Question& one : questions) {
    look(one.question);
    std::ranges::for_each(one.facts, look);
  }
  return longest;
}

std::vector<std::vector<Written>> answer_by_facts(
    const FactModel& m, const std::vector<Question>& questions, const Answering& how,
    const std::string& where, int64_t first, const std::function<bool(int64_t done)>& progress) {
  const c10::NoGradGuard no_gradients;
  const StorySize size = story_size(m.model.config);
  std::vector<TokenLine> stories;
  for (size_t i = 0; i < questions.size(); ++i) {
    if (questions[i].question.empty()) continue;
    try {
      const Sequence ids = story_of(m.tokenizer, questions[i], size, how.cut);
      stories.push_back({i, {ids.begin(), ids.end()}, {}});
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}question {}: {}", where.empty() ? "" : where + ": ",
                                            first + static_cast<int64_t>(i), error.what()));
    }
  }
  std::vector<std::vector<Written>> all(questions.size());
  auto done = static_cast<int64_t>(questions.size() - stories.size());
  for (const std::vector<TokenLine>& batch : batches_of(std::move(stories), false, how.batch)) {
    model::Inputs inputs;
    inputs.tokens = padded_lines(batch, inputs.lengths).unflatten(1, {-1, size.sentence_tokens});
    inputs.lengths = inputs.lengths.floor_divide(size.sentence_tokens);
    const at::Tensor scores =
        at::log_softmax(model::logits(m.model, inputs).to(at::kDouble), 1).contiguous();
    if (!at::isfinite(scores).all().item<bool>())
      refuse_story("the model's logits are no numbers; its weights are broken");
    const double* row = scores.const_data_ptr<double>();
    for (const TokenLine& story : batch) {
      all[story.number] = best_answers(row, m.answers, how.nbest);
      row += m.model.config.classes;
    }
    done += static_cast<int64_t>(batch.size());
    if (progress && !progress(done)) break;
  }
  return all;
}

}  // namespace headlight::task
