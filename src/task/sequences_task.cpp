#include "task/sequences_task.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "task/length_buckets.h"

namespace headlight::task {
namespace {

class SequencesTask : public Task {
 public:
  SequencesTask(TaskInfo info, Sequences training, Sequences held_out, int64_t begin,
                int64_t padding, std::function<std::string(int64_t)> show)
      : info_(std::move(info)),
        training_(std::move(training)),
        held_out_(std::move(held_out)),
        begin_(begin),
        padding_(padding),
        show_(std::move(show)),
        buckets_(lengths_of(training_)) {}

  const TaskInfo& info() const override { return info_; }
  std::string show(int64_t symbol) const override {
    return show_ ? show_(symbol) : std::to_string(symbol);
  }

  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    return padded(training_, buckets_.rows(seed, step, size));
  }

  Batch test_set(int64_t samples) const override {
    return padded(held_out_, evenly_chosen(held_out_.targets.size(), samples));
  }

 private:
  // A pair counts by its longer side.
  static std::vector<LengthBuckets::Row> lengths_of(const Sequences& all) {
    std::vector<LengthBuckets::Row> rows;
    for (size_t i = 0; i < all.targets.size(); ++i) {
      const size_t target = all.targets[i].size();
      const size_t source =
          all.sources.empty() ? static_cast<size_t>(all.picture_places) : all.sources[i].size();
      rows.push_back({std::max(source, target), source + target});
    }
    return rows;
  }

  Batch padded(const Sequences& all, const std::vector<size_t>& rows) const {
    Batch batch;
    const bool pairs = !all.sources.empty();
    batch.size = static_cast<int64_t>(rows.size());
    for (const size_t row : rows) {
      batch.length = std::max(batch.length, static_cast<int64_t>(all.targets[row].size()));
      if (pairs)
        batch.source_length =
            std::max(batch.source_length, static_cast<int64_t>(all.sources[row].size()));
    }
    if (!all.pictures.empty()) {
      std::vector<at::Tensor> pictures;
      for (const size_t row : rows) pictures.push_back(all.pictures[row]);
      batch.pixels = at::stack(pictures);
    }
    batch.inputs.resize(static_cast<size_t>(batch.size * batch.length), padding_);
    batch.labels.resize(batch.inputs.size(), kNotScored);
    batch.source.resize(static_cast<size_t>(batch.size * batch.source_length), padding_);
    for (size_t i = 0; i < rows.size(); ++i) {
      const Sequence& target = all.targets[rows[i]];
      const auto place = static_cast<std::ptrdiff_t>(i);
      const auto input = batch.inputs.begin() + place * batch.length;
      *input = begin_;
      std::copy(target.begin(), target.end() - 1, input + 1);
      std::copy(target.begin(), target.end(), batch.labels.begin() + place * batch.length);
      batch.lengths.push_back(static_cast<int64_t>(target.size()));
      if (!pairs) continue;
      const Sequence& source = all.sources[rows[i]];
      std::copy(source.begin(), source.end(), batch.source.begin() + place * batch.source_length);
      batch.source_lengths.push_back(static_cast<int64_t>(source.size()));
    }
    return batch;
  }

  TaskInfo info_;
  Sequences training_, held_out_;
  int64_t begin_, padding_;
  std::function<std::string(int64_t)> show_;
  LengthBuckets buckets_;
};

}  // namespace

std::unique_ptr<Task> make_sequences_task(std::string name, Sequences training, Sequences held_out,
                                          int64_t begin, int64_t padding,
                                          std::function<std::string(int64_t)> show) {
  TaskInfo info;
  info.name = std::move(name);
  info.encoder_decoder = !training.sources.empty() || !training.pictures.empty();
  info.source_length = training.picture_places;
  for (const auto* side : {&training, &held_out}) {
    for (const Sequence& target : side->targets)
      info.length = std::max(info.length, static_cast<int64_t>(target.size()));
    for (const Sequence& source : side->sources)
      info.source_length = std::max(info.source_length, static_cast<int64_t>(source.size()));
  }
  return std::make_unique<SequencesTask>(std::move(info), std::move(training), std::move(held_out),
                                         begin, padding, std::move(show));
}

}  // namespace headlight::task
