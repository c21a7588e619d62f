#include "task/sequences_task.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <utility>

#include "task/random.h"

namespace headlight::task {
namespace {

constexpr size_t kMostOrders = 16;

class SequencesTask : public Task {
 public:
  SequencesTask(TaskInfo info, Sequences training, Sequences held_out, int64_t begin,
                int64_t padding, std::function<std::string(int64_t)> show)
      : info_(std::move(info)),
        training_(std::move(training)),
        held_out_(std::move(held_out)),
        begin_(begin),
        padding_(padding),
        show_(std::move(show)) {}

  const TaskInfo& info() const override { return info_; }
  std::string show(int64_t symbol) const override {
    return show_ ? show_(symbol) : std::to_string(symbol);
  }

  Batch train_batch(uint64_t seed, int64_t step, int64_t size) const override {
    const std::scoped_lock lock(mutex_);
    if (size != tokens_) cut(size);
    const auto batches = static_cast<int64_t>(firsts_.size()) - 1;
    const uint64_t epoch = mix(mix(seed, 0x73657173), static_cast<uint64_t>(step / batches));
    // Runs at the same time are in different epochs; those that have ended leave theirs.
    if (!orders_.contains(epoch) && orders_.size() == kMostOrders) orders_.clear();
    std::vector<size_t>& order = orders_[epoch];
    if (order.empty()) order = sorted(epoch);
    const auto batch = static_cast<size_t>(shuffled(step % batches, batches, epoch));
    return padded(training_, {order.begin() + firsts_[batch], order.begin() + firsts_[batch + 1]});
  }

  Batch test_set(int64_t samples) const override {
    std::vector<size_t> chosen(std::min(static_cast<size_t>(samples), held_out_.targets.size()));
    for (size_t i = 0; i < chosen.size(); ++i)
      chosen[i] = i * held_out_.targets.size() / chosen.size();
    return padded(held_out_, chosen);
  }

 private:
  size_t source_length(size_t i) const {
    return training_.sources.empty() ? static_cast<size_t>(training_.picture_places)
                                     : training_.sources[i].size();
  }
  size_t longer(size_t i) const { return std::max(source_length(i), training_.targets[i].size()); }

  // By the longer side, so that batches have the same sizes in every epoch; then by the shorter one
  // roughly, so that they have other pairs in each.
  std::vector<size_t> sorted(uint64_t seed) const {
    std::vector<size_t> order(training_.targets.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::vector<std::pair<double, double>> keys;
    for (size_t i = 0; i < order.size(); ++i) {
      const double noise = 4 * uniform_share(mix(seed, i));
      const size_t both = source_length(i) + training_.targets[i].size();
      keys.emplace_back(longer(i), static_cast<double>(both) + noise);
    }
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
    return order;
  }

  static double uniform_share(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

  void cut(int64_t tokens) const {
    tokens_ = tokens;
    const std::vector<size_t> order = sorted(0);
    firsts_ = {0};
    for (size_t i = 0; i < order.size(); ++i) {
      const auto rows = static_cast<int64_t>(i) - firsts_.back() + 1;
      if (rows > 1 && rows * static_cast<int64_t>(longer(order[i])) > tokens)
        firsts_.push_back(static_cast<int64_t>(i));
    }
    firsts_.push_back(static_cast<int64_t>(order.size()));
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
  mutable std::mutex mutex_;
  mutable int64_t tokens_ = -1;
  mutable std::vector<int64_t> firsts_;  // places in an order where batches begin, and its end
  mutable std::map<uint64_t, std::vector<size_t>> orders_;  // of the epochs at hand
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
