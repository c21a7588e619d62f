#include "task/synthetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headlight/error.h"

namespace headlight::task {
namespace {

// Streams that share a seed and nothing else.
enum Stream : uint64_t { kTraining = 1, kFixedSet, kOrder, kTest, kNoise };

// One input in sixteen is held out: the one whose hash says so. So no training input is ever a
// test input, whatever their numbers, and nothing has to be remembered.
constexpr int kHeldOutBits = 4;
constexpr double kSmallestLog2Space = 8;  // about sixteen held-out inputs

bool is_held_out(std::span<const int64_t> inputs) {
  uint64_t hash = inputs.size();
  for (const int64_t symbol : inputs) {
    hash = (hash + static_cast<uint64_t>(symbol)) * Random::kGamma;
    hash ^= hash >> 32;
  }
  hash = Random::finalized(hash);
  return hash >> (64 - kHeldOutBits) == 0;
}

class SyntheticTask : public Task {
 public:
  SyntheticTask(Definition definition, const TaskOptions& options)
      : definition_(std::move(definition)), options_(options) {
    definition_.info.space = definition_.space;
  }

  const TaskInfo& info() const override { return definition_.info; }
  std::string show(int64_t symbol) const override { return definition_.show(symbol); }

  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    Batch batch = empty_batch(size);
    for (int64_t row = 0; row < size; ++row)
      draw(train_stream(seed, step, size, row), false, batch, row);
    return batch;
  }

  Batch test_set(int64_t samples) const override {
    Batch batch = empty_batch(samples);
    for (int64_t row = 0; row < samples; ++row) {
      draw(mix(kTest, static_cast<uint64_t>(row)), true, batch, row);
      if (options_.noise > 0) corrupt(batch, row);
    }
    return batch;
  }

 private:
  Batch empty_batch(int64_t size) const {
    Batch batch;
    batch.size = size;
    batch.length = definition_.info.length;
    batch.inputs.resize(static_cast<size_t>(size * batch.length));
    batch.labels.resize(batch.inputs.size(), kNotScored);
    return batch;
  }

  uint64_t train_stream(uint64_t seed, int64_t step, int64_t size, int64_t row) const {
    if (options_.samples == 0) {
      return mix(mix(mix(seed, kTraining), static_cast<uint64_t>(step)),
                 static_cast<uint64_t>(row));
    }
    const int64_t drawn = step * size + row;
    const auto epoch = static_cast<uint64_t>(drawn / options_.samples);
    const int64_t sample =
        shuffled(drawn % options_.samples, options_.samples, mix(mix(seed, kOrder), epoch));
    return mix(mix(seed, kFixedSet), static_cast<uint64_t>(sample));
  }

  // Draws until the sample is on the asked side.
  void draw(uint64_t stream, bool held_out, Batch& batch, int64_t row) const {
    const auto first = static_cast<size_t>(row * batch.length);
    const auto length = static_cast<size_t>(batch.length);
    const std::span inputs = std::span(batch.inputs).subspan(first, length);
    const std::span labels = std::span(batch.labels).subspan(first, length);
    for (uint64_t attempt = 0; attempt < 100'000; ++attempt) {
      Random random(mix(stream, attempt));
      std::ranges::fill(labels, kNotScored);
      definition_.draw(random, inputs, labels);
      if (is_held_out(inputs) == held_out) return;
    }
    throw Error(ErrorKind::usage,
                fmt::format("task '{}' has too few different inputs to hold some out for the test; "
                            "make it longer or give it more symbols",
                            definition_.info.name));
  }

  void corrupt(Batch& batch, int64_t row) const {
    Random random(mix(kNoise, static_cast<uint64_t>(row)));
    for (int64_t i = row * batch.length; i < (row + 1) * batch.length; ++i) {
      const bool hit = random.uniform() < options_.noise;
      const double choice = random.uniform();
      if (!hit) continue;
      int64_t& symbol = batch.inputs[static_cast<size_t>(i)];
      const auto after = std::ranges::upper_bound(definition_.kinds, symbol);
      const int64_t begin = *(after - 1);
      const int64_t end = after == definition_.kinds.end() ? definition_.info.symbols : *after;
      const int64_t others = end - begin - 1;
      if (others == 0) continue;
      const int64_t other = begin + static_cast<int64_t>(choice * static_cast<double>(others));
      symbol = other + (other >= symbol ? 1 : 0);
    }
  }

  Definition definition_;
  TaskOptions options_;
};

}  // namespace

std::unique_ptr<Task> synthetic_task(Definition definition, const TaskOptions& options) {
  if (definition.log2_space < kSmallestLog2Space) {
    throw Error(ErrorKind::usage,
                fmt::format("task '{}' has only {} different inputs; at least {:.0f} are needed to "
                            "hold some out for the test, so make it longer or give it more symbols",
                            definition.info.name, definition.space, std::exp2(kSmallestLog2Space)));
  }
  if (options.samples < 0) {
    throw Error(ErrorKind::usage, fmt::format("{} training samples: 0 asks for fresh data at every "
                                              "step, 1 or more for a fixed set",
                                              options.samples));
  }
  if (!(options.noise >= 0 && options.noise <= 1)) {
    throw Error(ErrorKind::usage, fmt::format("a noise of {} is no probability; it must be from 0 "
                                              "to 1",
                                              options.noise));
  }
  return std::make_unique<SyntheticTask>(std::move(definition), options);
}

std::string symbol_text(int64_t symbol, int64_t symbols) {
  return symbols <= 26 ? std::string(1, static_cast<char>('a' + symbol)) : std::to_string(symbol);
}

Definition say_again(int64_t count, int64_t symbols,
                     const std::function<void(std::span<int64_t>)>& order) {
  Definition task;
  task.info.length = 2 * count;
  task.info.symbols = symbols + 1;
  task.info.classes = symbols;
  task.space = fmt::format("{}^{}", symbols, count);
  task.log2_space = static_cast<double>(count) * std::log2(static_cast<double>(symbols));
  task.kinds = {0, symbols};
  task.show = [=](int64_t symbol) {
    return symbol == symbols ? std::string("|") : symbol_text(symbol, symbols);
  };
  task.draw = [=](Random& random, std::span<int64_t> inputs, std::span<int64_t> labels) {
    const std::span<int64_t> said = labels.subspan(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) said[i] = inputs[i] = random.index(symbols);
    order(said);
    inputs[count] = symbols;
    for (int64_t i = 1; i < count; ++i) inputs[count + i] = said[i - 1];
  };
  return task;
}

int64_t class_count(int64_t base, int64_t exponent, const Arguments& arguments) {
  constexpr int64_t kMost = 65536;
  int64_t count = 1;
  for (int64_t i = 0; i < exponent; ++i) {
    count *= base;
    if (count > kMost) {
      arguments.refuse(
          fmt::format("{}^{} classes are too many; at most {} make sense", base, exponent, kMost));
    }
  }
  return count;
}

int64_t stretched_steps(int64_t base, double factor, int64_t every) {
  const double steps = std::min(20'000.0, static_cast<double>(base) * std::max(1.0, factor));
  return static_cast<int64_t>(std::ceil(steps / static_cast<double>(every))) * every;
}

double log2_factorial(int64_t n) { return std::lgamma(static_cast<double>(n + 1)) / std::log(2.0); }

}  // namespace headlight::task
