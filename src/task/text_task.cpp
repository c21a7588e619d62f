#include <fmt/format.h>

#include <algorithm>

#include "headlight/error.h"
#include "task/random.h"
#include "task/task.h"
#include "tensorfile/atomic_file.h"
#include "text/vocabulary.h"

namespace headlight::task {
namespace {

constexpr int64_t kHeldOutText = 10;  // one part in ten

// Symbols that follow each other in one file. 32 bits, because whole texts are kept.
using Stretch = std::vector<int32_t>;

// How many windows start in a stretch: each needs one more symbol, the last label.
int64_t starts_in(const Stretch& stretch, int64_t length) {
  return std::max<int64_t>(0, static_cast<int64_t>(stretch.size()) - length);
}

// How often the most frequent symbol comes.
double most_frequent(const std::vector<Stretch>& stretches, int64_t symbols) {
  std::vector<int64_t> counts(static_cast<size_t>(symbols));
  int64_t total = 0;
  for (const Stretch& stretch : stretches) {
    for (const int32_t symbol : stretch) ++counts[static_cast<size_t>(symbol)];
    total += static_cast<int64_t>(stretch.size());
  }
  return static_cast<double>(*std::ranges::max_element(counts)) / static_cast<double>(total);
}

class TextTask : public Task {
 public:
  TextTask(TaskInfo info, text::Vocabulary vocabulary, std::vector<Stretch> training,
           std::vector<Stretch> held_out)
      : info_(std::move(info)),
        vocabulary_(std::move(vocabulary)),
        training_(std::move(training)),
        held_out_(std::move(held_out)) {}

  const TaskInfo& info() const override { return info_; }
  std::string show(int64_t symbol) const override { return vocabulary_.show(symbol); }
  const text::Vocabulary* vocabulary() const override { return &vocabulary_; }

  // Windows from anywhere in the training part, all equally likely.
  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    int64_t starts = 0;
    for (const Stretch& stretch : training_) starts += starts_in(stretch, info_.length);
    Batch batch;
    Random random(mix(mix(seed, 0x7465787420747261), static_cast<uint64_t>(step)));
    for (int64_t row = 0; row < size; ++row) {
      int64_t start = random.index(starts);
      for (const Stretch& stretch : training_) {
        const int64_t here = starts_in(stretch, info_.length);
        if (start < here) {
          add_window(stretch, start, batch);
          break;
        }
        start -= here;
      }
    }
    return batch;
  }

  // Windows that do not overlap, spread over the whole held-out part.
  Batch test_set(int64_t samples) const override {
    std::vector<std::pair<size_t, int64_t>> windows;  // stretch, start
    for (size_t i = 0; i < held_out_.size(); ++i) {
      const int64_t starts = starts_in(held_out_[i], info_.length);
      for (int64_t start = 0; start < starts; start += info_.length) windows.emplace_back(i, start);
    }
    const auto all = static_cast<int64_t>(windows.size());
    const int64_t taken = std::min(samples, all);
    Batch batch;
    for (int64_t i = 0; i < taken; ++i) {
      const auto& [stretch, start] = windows[static_cast<size_t>(i * all / taken)];
      add_window(held_out_[stretch], start, batch);
    }
    batch.length = info_.length;
    return batch;
  }

 private:
  void add_window(const Stretch& stretch, int64_t start, Batch& batch) const {
    const auto begin = stretch.begin() + start;
    batch.inputs.insert(batch.inputs.end(), begin, begin + info_.length);
    batch.labels.insert(batch.labels.end(), begin + 1, begin + 1 + info_.length);
    batch.length = info_.length;
    ++batch.size;
  }

  TaskInfo info_;
  text::Vocabulary vocabulary_;
  std::vector<Stretch> training_, held_out_;
};

// Where the held-out part begins: about nine tenths in, not inside of a UTF-8 letter.
size_t cut(const std::string& text) {
  size_t at = text.size() - text.size() / kHeldOutText;
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

std::unique_ptr<Task> make_text_task(const std::vector<std::filesystem::path>& files,
                                     int64_t length, int64_t vocabulary_size) {
  if (files.empty()) throw Error(ErrorKind::usage, "a text task needs at least one file");
  if (length < 1) {
    throw Error(ErrorKind::usage,
                fmt::format("windows of {} symbols; 1 or more make sense", length));
  }
  std::vector<std::string> texts;
  std::vector<std::string_view> training_texts;
  for (const auto& file : files) {
    texts.push_back(tensorfile::read_text_file(file));
    if (texts.back().empty()) {
      throw Error(ErrorKind::bad_input,
                  fmt::format("{}: is empty; text belongs in it", file.string()));
    }
  }
  training_texts.reserve(texts.size());
  for (const std::string& text : texts) {
    training_texts.push_back(std::string_view(text).substr(0, cut(text)));
  }
  const bool is_bytes = vocabulary_size == 0;
  const text::Vocabulary vocabulary =
      is_bytes ? text::Vocabulary::bytes()
               : text::Vocabulary::learn(training_texts, vocabulary_size);

  std::vector<Stretch> training, held_out;
  int64_t training_symbols = 0, held_out_symbols = 0, longest_held_out = 0;
  uint64_t content = 0;
  const auto encoded = [&](std::string_view part, int64_t& total) {
    const std::vector<int64_t> symbols = vocabulary.encode(part);
    for (const int64_t symbol : symbols) content = mix(content, static_cast<uint64_t>(symbol));
    total += static_cast<int64_t>(symbols.size());
    return Stretch(symbols.begin(), symbols.end());
  };
  for (size_t i = 0; i < texts.size(); ++i) {
    try {
      training.push_back(encoded(training_texts[i], training_symbols));
      held_out.push_back(
          encoded(std::string_view(texts[i]).substr(training_texts[i].size()), held_out_symbols));
    } catch (const Error& problem) {
      throw Error(problem.kind(), fmt::format("{}: {}", files[i].string(), problem.what()));
    }
    longest_held_out = std::max(longest_held_out, static_cast<int64_t>(held_out.back().size()));
  }
  if (longest_held_out <= length) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: the text is too short: its last tenth is held out and has {} "
                            "symbols, where windows of {} need {}; give more text or a shorter "
                            "window",
                            files.front().string(), longest_held_out, length, length + 1));
  }

  TaskInfo info;
  info.name =
      fmt::format("text(length {}, {}, content {:016x})", length,
                  is_bytes ? "bytes" : fmt::format("{} pieces", vocabulary.size()), content);
  info.about = fmt::format("Name the next {} of the text; windows of {}.",
                           is_bytes ? "byte" : "byte-pair piece", length);
  info.length = length;
  info.symbols = info.classes = is_bytes ? 256 : vocabulary.size();
  info.chance = most_frequent(held_out, info.symbols);
  info.recommended_steps = 2000;
  info.recommended_layers = 2;
  info.evaluate_every = 100;
  info.note = fmt::format("The last tenth of every file is held out: {} of {} symbols.",
                          held_out_symbols, training_symbols + held_out_symbols);
  info.space = fmt::format("{} training symbols", training_symbols);
  return std::make_unique<TextTask>(std::move(info), vocabulary, std::move(training),
                                    std::move(held_out));
}

}  // namespace headlight::task
