#include "task/spans.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <limits>
#include <optional>
#include <set>
#include <string>

#include "headlight/error.h"
#include "model/next_token.h"
#include "task/token_lines.h"
#include "text/lines.h"
#include "text/utf8.h"

namespace headlight::task {
namespace {

// What the model reads at once of one question.
struct Window {
  size_t question = 0;
  std::vector<int64_t> ids, types;
  size_t context = 0;               // where the context's tokens begin,
  std::vector<text::Span> offsets;  // and where each of them stands in it, in code points
};

struct Found {
  double score = 0;
  text::Span place;  // in the context, in code points
};

struct Findings {
  std::vector<Found> spans;
  double none = std::numeric_limits<double>::infinity();  // the first token's score, the lowest
};

// The windows of one question, as the tokenizer puts the pair together.
std::vector<Window> windows_of(const SpanModel& m, const Question& one, size_t number) {
  const text::Encoding pair = text::encode_pair(m.tokenizer, one.question, one.context);
  const size_t asked =
      text::encode(m.tokenizer, one.question, {.special_tokens = false}).ids.size();
  // Tokens that stand for text are the question's, then the context's.
  std::vector<size_t> texts;
  for (size_t i = 0; i < pair.size(); ++i)
    if (!pair.special[i]) texts.push_back(i);
  if (texts.size() <= asked) return {};
  const size_t begin = texts[asked], end = texts.back() + 1;
  const size_t around = pair.size() - (end - begin);
  const int64_t longest = model::longest_sequence(m.model.config);
  const auto most = static_cast<size_t>(longest > 0 ? std::min(kWindow, longest) : kWindow);
  if (most <= around)
    throw Error(ErrorKind::bad_input,
                fmt::format("the question has {} tokens, and with {} around it there is no room "
                            "for a text: this model reads {} at once",
                            asked, around - asked, most));
  const size_t room = most - around;
  const size_t step = room - std::min(static_cast<size_t>(kOverlap), room / 2);
  std::vector<Window> windows;
  for (size_t from = begin;; from += step) {
    const size_t to = std::min(from + room, end);
    Window window{.question = number, .ids = {}, .types = {}, .context = begin, .offsets = {}};
    for (const auto& [list, all] :
         {std::pair{&window.ids, &pair.ids}, {&window.types, &pair.type_ids}}) {
      const auto at = [&](size_t i) { return all->begin() + static_cast<std::ptrdiff_t>(i); };
      list->assign(at(0), at(begin));
      list->insert(list->end(), at(from), at(to));
      list->insert(list->end(), at(end), all->end());
    }
    window.offsets.assign(pair.offsets.begin() + static_cast<std::ptrdiff_t>(from),
                          pair.offsets.begin() + static_cast<std::ptrdiff_t>(to));
    windows.push_back(std::move(window));
    if (to == end) return windows;
  }
}

// The scores of one window: begins and ends [N].
void look(const Window& window, const float* begins, const float* ends, const Marking& how,
          Findings& found) {
  found.none = std::min(found.none, double(begins[0]) + double(ends[0]));
  const size_t length = window.offsets.size();
  for (size_t i = 0; i < length; ++i) {
    const size_t last = std::min(length, i + static_cast<size_t>(kLongestAnswer));
    for (size_t j = i; j < last; ++j)
      found.spans.push_back({double(begins[window.context + i]) + double(ends[window.context + j]),
                             {window.offsets[i].begin, window.offsets[j].end}});
  }
  // Equal texts are told apart later: of so many, `nbest` different ones remain.
  const size_t kept = std::min(found.spans.size(), static_cast<size_t>(64 * how.nbest));
  std::partial_sort(found.spans.begin(), found.spans.begin() + static_cast<std::ptrdiff_t>(kept),
                    found.spans.end(),
                    [](const Found& a, const Found& b) { return a.score > b.score; });
  found.spans.resize(kept);
}

void look_at(const SpanModel& m, const std::vector<Window>& windows, size_t from, size_t to,
             const Marking& how, std::vector<Findings>& found) {
  const auto rows = static_cast<int64_t>(to - from);
  size_t longest = 0;
  for (size_t i = from; i < to; ++i) longest = std::max(longest, windows[i].ids.size());
  const auto columns = static_cast<int64_t>(longest);
  model::Inputs inputs;
  inputs.tokens = at::zeros({rows, columns}, at::kLong);
  inputs.lengths = at::empty({rows}, at::kLong);
  if (m.model.config.token_types > 1) inputs.token_types = at::zeros({rows, columns}, at::kLong);
  // Padding positions are counted from the padding token where the model has one.
  if (m.model.config.padding_token >= 0) inputs.tokens.fill_(m.model.config.padding_token);
  for (size_t i = from; i < to; ++i) {
    const auto row = static_cast<int64_t>(i - from);
    const std::vector<int64_t>& ids = windows[i].ids;
    std::copy(ids.begin(), ids.end(), inputs.tokens.data_ptr<int64_t>() + row * columns);
    if (inputs.token_types.defined())
      std::copy(windows[i].types.begin(), windows[i].types.end(),
                inputs.token_types.data_ptr<int64_t>() + row * columns);
    inputs.lengths.data_ptr<int64_t>()[row] = static_cast<int64_t>(ids.size());
  }
  const at::NoGradGuard no_gradients;
  const at::Tensor both = model::logits(m.model, inputs).permute({2, 0, 1}).contiguous();
  const float* scores = both.data_ptr<float>();
  for (size_t i = from; i < to; ++i) {
    const float* begins = scores + static_cast<int64_t>(i - from) * columns;
    look(windows[i], begins, begins + rows * columns, how, found[windows[i].question]);
  }
}

// Where in the bytes each code point begins, and the end.
std::vector<size_t> byte_places(const std::string& text) {
  std::vector<size_t> places;
  for (size_t at = 0; at < text.size(); at += text::character_at(text, at).bytes)
    places.push_back(at);
  places.push_back(text.size());
  return places;
}

Error named(const Error& error, const std::string& where, size_t question) {
  return {error.kind(), fmt::format("{}question {}: {}", where.empty() ? "" : where + ": ",
                                    question, error.what())};
}

// Whether a piece of text is no part of a longer word.
bool stands_alone(const std::string& text, size_t begin, size_t end) {
  const auto in_word = [&](size_t at) {
    return std::isalnum(static_cast<unsigned char>(text[at])) != 0 || (text[at] & 0x80) != 0;
  };
  return (begin == 0 || !in_word(begin - 1)) && (end == text.size() || !in_word(end));
}

// In code points of the context; nothing where there is no answer.
text::Span place_of_answer(const Question& one) {
  if (one.answer.empty()) return {};
  const std::vector<size_t> places = byte_places(one.context);
  std::optional<text::Span> best;
  int64_t least = 0;
  for (size_t at = one.context.find(one.answer); at != std::string::npos;
       at = one.context.find(one.answer, at + 1)) {
    const size_t end = at + one.answer.size();
    const text::Span here{std::ranges::lower_bound(places, at) - places.begin(),
                          std::ranges::lower_bound(places, end) - places.begin()};
    const int64_t off = one.answer_place ? std::abs(here.begin - *one.answer_place)
                                         : (stands_alone(one.context, at, end) ? 0 : 1);
    if (best && off >= least) continue;
    best = here;
    least = off;
  }
  if (!best)
    throw Error(
        ErrorKind::bad_input,
        fmt::format("its answer \"{}\" is not in its text, so no span can be marked", one.answer));
  return *best;
}

// The first and the last token of an answer that is in the window as a whole.
std::array<int32_t, 2> span_in(const Window& window, const text::Span& answer) {
  if (answer.begin == answer.end || window.offsets.empty() ||
      window.offsets.front().begin > answer.begin || window.offsets.back().end < answer.end)
    return {0, 0};
  std::array<int32_t, 2> span{0, 0};
  for (size_t i = 0; i < window.offsets.size(); ++i) {
    const text::Span& token = window.offsets[i];
    if (token.end <= answer.begin || token.begin >= answer.end) continue;
    span[1] = static_cast<int32_t>(window.context + i);
    if (span[0] == 0) span[0] = span[1];
  }
  return span;
}

std::vector<Written> answers_of(const Question& one, const Findings& found, const Marking& how) {
  std::vector<Written> answers;
  if (found.spans.empty()) return answers;
  if (how.unanswerable && found.none > found.spans[0].score) return answers;
  const std::vector<size_t> places = byte_places(one.context);
  std::set<std::string> seen;
  for (const Found& span : found.spans) {
    const size_t begin = places[static_cast<size_t>(span.place.begin)];
    const size_t end = places[static_cast<size_t>(span.place.end)];
    const std::string text = text::trimmed(one.context.substr(begin, end - begin));
    if (text.empty() || !seen.insert(text).second) continue;
    answers.push_back({text, span.score});
    if (static_cast<int64_t>(answers.size()) == how.nbest) break;
  }
  return answers;
}

}  // namespace

SpanModel span_model(model::Transformer model, const std::filesystem::path& folder) {
  text::Tokenizer tokenizer = text::read_tokenizer(folder);
  check_tokenizer(tokenizer, model.encoder.tokens, folder);
  return {std::move(model), std::move(tokenizer)};
}

ReadTexts marked_windows(const SpanModel& m, const std::vector<Question>& questions,
                         const std::string& where) {
  ReadTexts read;
  for (size_t i = 0; i < questions.size(); ++i) {
    const Question& one = questions[i];
    if (is_without_text(one)) continue;
    try {
      const text::Span answer = place_of_answer(one);
      for (const Window& window : windows_of(m, one, i)) {
        read.texts.emplace_back(window.ids.begin(), window.ids.end());
        if (m.model.config.token_types > 1)
          read.types.emplace_back(window.types.begin(), window.types.end());
        read.spans.push_back(span_in(window, answer));
      }
    } catch (const Error& error) {
      throw named(error, where, static_cast<size_t>(one.number));
    }
  }
  return read;
}

std::vector<std::vector<Written>> mark_answers(const SpanModel& m,
                                               const std::vector<Question>& questions,
                                               const Marking& how, const std::string& where,
                                               int64_t first,
                                               const std::function<bool(int64_t done)>& progress) {
  std::vector<Window> windows;
  for (size_t i = 0; i < questions.size(); ++i) {
    if (is_without_text(questions[i])) continue;
    try {
      for (Window& window : windows_of(m, questions[i], i)) windows.push_back(std::move(window));
    } catch (const Error& error) {
      throw named(error, where, static_cast<size_t>(first) + i);
    }
  }
  std::vector<Findings> found(questions.size());
  const auto batch = static_cast<size_t>(how.batch);
  for (size_t from = 0; from < windows.size(); from += batch) {
    const size_t to = std::min(windows.size(), from + batch);
    look_at(m, windows, from, to, how, found);
    const size_t done = to == windows.size() ? questions.size() : windows[to].question;
    if (progress && !progress(static_cast<int64_t>(done))) break;
  }
  std::vector<std::vector<Written>> all;
  for (size_t i = 0; i < questions.size(); ++i)
    all.push_back(answers_of(questions[i], found[i], how));
  return all;
}

}  // namespace headlight::task
