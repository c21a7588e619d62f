#include <fmt/format.h>

#include <algorithm>

#include "headlight/error.h"
#include "task/random.h"
#include "task/task.h"
#include "tensorfile/atomic_file.h"
#include "text/vocabulary.h"

namespace headlight::task {
namespace {

constexpr uint64_t kHeldOutPairs = 10;  // one pair in ten

struct Pair {
  std::vector<int64_t> source, target;  // without begin and end
};

// A file's lines without their ends; a last line needs none.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0;
  for (const char c : text) hash = mix(hash, static_cast<unsigned char>(c));
  return hash;
}

class PairsTask : public Task {
 public:
  PairsTask(TaskInfo info, text::Vocabulary vocabulary, std::vector<Pair> training,
            std::vector<Pair> held_out)
      : info_(std::move(info)),
        vocabulary_(std::move(vocabulary)),
        training_(std::move(training)),
        held_out_(std::move(held_out)) {}

  const TaskInfo& info() const override { return info_; }
  std::string show(int64_t symbol) const override { return vocabulary_.show(symbol); }
  const text::Vocabulary* vocabulary() const override { return &vocabulary_; }

  // Every pair once an epoch, in another order each time.
  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    const auto pairs = static_cast<int64_t>(training_.size());
    std::vector<const Pair*> chosen;
    for (int64_t row = 0; row < size; ++row) {
      const int64_t drawn = step * size + row;
      const uint64_t epoch = mix(mix(seed, 0x7061697273), static_cast<uint64_t>(drawn / pairs));
      chosen.push_back(&training_[static_cast<size_t>(shuffled(drawn % pairs, pairs, epoch))]);
    }
    return padded(chosen);
  }

  Batch test_set(int64_t samples) const override {
    const auto all = static_cast<int64_t>(held_out_.size());
    const int64_t taken = std::min(samples, all);
    std::vector<const Pair*> chosen;
    for (int64_t i = 0; i < taken; ++i) {
      chosen.push_back(&held_out_[static_cast<size_t>(i * all / taken)]);
    }
    return padded(chosen);
  }

 private:
  // Source: its symbols and end. Decoder: begin and the target; labels: the target and end. Rows
  // are filled up to the longest with end, which `lengths` and the labels leave out.
  Batch padded(const std::vector<const Pair*>& pairs) const {
    Batch batch;
    batch.size = static_cast<int64_t>(pairs.size());
    for (const Pair* pair : pairs) {
      batch.length = std::max(batch.length, static_cast<int64_t>(pair->target.size()) + 1);
      batch.source_length =
          std::max(batch.source_length, static_cast<int64_t>(pair->source.size()) + 1);
    }
    batch.inputs.resize(static_cast<size_t>(batch.size * batch.length), vocabulary_.end());
    batch.labels.resize(batch.inputs.size(), kNotScored);
    batch.source.resize(static_cast<size_t>(batch.size * batch.source_length), vocabulary_.end());
    for (int64_t row = 0; row < batch.size; ++row) {
      const auto& [source, target] = *pairs[static_cast<size_t>(row)];
      const auto input = batch.inputs.begin() + row * batch.length;
      const auto label = batch.labels.begin() + row * batch.length;
      *input = vocabulary_.begin();
      std::ranges::copy(target, input + 1);
      *std::ranges::copy(target, label).out = vocabulary_.end();
      std::ranges::copy(source, batch.source.begin() + row * batch.source_length);
      batch.lengths.push_back(static_cast<int64_t>(target.size()) + 1);
      batch.source_lengths.push_back(static_cast<int64_t>(source.size()) + 1);
    }
    return batch;
  }

  TaskInfo info_;
  text::Vocabulary vocabulary_;
  std::vector<Pair> training_, held_out_;
};

// How often the most frequent symbol comes among the labels.
double most_frequent(const std::vector<Pair>& pairs, int64_t symbols) {
  std::vector<int64_t> counts(static_cast<size_t>(symbols));
  int64_t ends = 0, total = 0;
  for (const Pair& pair : pairs) {
    for (const int64_t symbol : pair.target) ++counts[static_cast<size_t>(symbol)];
    total += static_cast<int64_t>(pair.target.size()) + 1;
    ++ends;
  }
  return static_cast<double>(std::max(ends, *std::ranges::max_element(counts))) /
         static_cast<double>(total);
}

}  // namespace

std::unique_ptr<Task> make_pairs_task(const std::filesystem::path& source_file,
                                      const std::filesystem::path& target_file, int64_t length,
                                      int64_t vocabulary_size) {
  if (length < 1) {
    throw Error(ErrorKind::usage, fmt::format("lines of {} symbols; 1 or more make sense", length));
  }
  const std::string source_text = tensorfile::read_text_file(source_file);
  const std::string target_text = tensorfile::read_text_file(target_file);
  const auto sources = lines_of(source_text), targets = lines_of(target_text);
  if (sources.size() != targets.size()) {
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{} has {} lines and {} has {}; line by line, the second must say what "
                    "the first says",
                    source_file.string(), sources.size(), target_file.string(), targets.size()));
  }
  // By content: a source line that occurs twice is never on both sides.
  const auto is_held_out = [&](size_t line) { return hash_of(sources[line]) % kHeldOutPairs == 0; };
  const auto is_empty = [&](size_t line) { return sources[line].empty() || targets[line].empty(); };
  std::vector<std::string_view> learned_from;
  for (size_t line = 0; line < sources.size(); ++line) {
    if (is_empty(line) || is_held_out(line)) continue;
    learned_from.push_back(sources[line]);
    learned_from.push_back(targets[line]);
  }
  const bool is_bytes = vocabulary_size == 0;
  const text::Vocabulary vocabulary =
      is_bytes ? text::Vocabulary::bytes() : text::Vocabulary::learn(learned_from, vocabulary_size);

  TaskInfo info;
  std::vector<Pair> training, held_out;
  int64_t empty = 0, too_long = 0;
  uint64_t content = 0;
  for (size_t line = 0; line < sources.size(); ++line) {
    if (is_empty(line)) {
      ++empty;
      continue;
    }
    Pair pair;
    const std::filesystem::path* file = &source_file;
    try {
      pair.source = vocabulary.encode(sources[line]);
      file = &target_file;
      pair.target = vocabulary.encode(targets[line]);
    } catch (const Error& problem) {
      throw Error(problem.kind(),
                  fmt::format("{}, line {}: {}", file->string(), line + 1, problem.what()));
    }
    const auto source_length = static_cast<int64_t>(pair.source.size());
    const auto target_length = static_cast<int64_t>(pair.target.size());
    if (source_length > length || target_length > length) {
      ++too_long;
      continue;
    }
    info.source_length = std::max(info.source_length, source_length + 1);
    info.length = std::max(info.length, target_length + 1);
    content = mix(mix(content, hash_of(sources[line])), hash_of(targets[line]));
    (is_held_out(line) ? held_out : training).push_back(std::move(pair));
  }
  if (training.empty() || held_out.empty()) {
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{} and {}: {} of {} pairs are usable ({} empty, {} longer than {} "
                    "symbols), too few to train on most and hold out a tenth; give more "
                    "pairs, at least some tens",
                    source_file.string(), target_file.string(), training.size() + held_out.size(),
                    sources.size(), empty, too_long, length));
  }
  info.name =
      fmt::format("pairs(length {}, {}, content {:016x})", length,
                  is_bytes ? "bytes" : fmt::format("{} pieces", vocabulary.size()), content);
  info.about = fmt::format("Turn a line of the source into the line of the target, {} by {}.",
                           is_bytes ? "byte" : "piece", is_bytes ? "byte" : "piece");
  info.encoder_decoder = true;
  info.symbols = info.classes = info.source_symbols = vocabulary.size();
  info.chance = most_frequent(held_out, info.symbols);
  info.recommended_steps = 2000;
  info.recommended_layers = 2;
  info.evaluate_every = 100;
  info.note = fmt::format(
      "Of {} pairs {} are trained on and {} held out; left out: {} with an empty line, {} longer "
      "than {} symbols. Accuracy is that of each next symbol, given the right ones before it.",
      sources.size(), training.size(), held_out.size(), empty, too_long, length);
  info.space = fmt::format("{} training pairs", training.size());
  return std::make_unique<PairsTask>(std::move(info), vocabulary, std::move(training),
                                     std::move(held_out));
}

}  // namespace headlight::task
