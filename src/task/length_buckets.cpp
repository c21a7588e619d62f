#include "task/length_buckets.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "task/random.h"

namespace headlight::task {
namespace {

double uniform_share(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace

std::vector<size_t> LengthBuckets::rows(uint64_t seed, int64_t step, int64_t tokens) const {
  const std::scoped_lock lock(mutex_);
  if (tokens != tokens_) cut(tokens);
  const auto batches = static_cast<int64_t>(firsts_.size()) - 1;
  const uint64_t epoch_seed = mix(mix(seed, 0x73657173), static_cast<uint64_t>(step / batches));
  Epoch& epoch = epochs_[std::this_thread::get_id()];
  if (epoch.order.empty() || epoch.seed != epoch_seed) epoch = {epoch_seed, sorted(epoch_seed)};
  const auto batch = static_cast<size_t>(shuffled(step % batches, batches, epoch_seed));
  return {epoch.order.begin() + firsts_[batch], epoch.order.begin() + firsts_[batch + 1]};
}

// By tokens, so that batches have the same sizes in every epoch; then by size roughly, so that they
// have other rows in each.
std::vector<size_t> LengthBuckets::sorted(uint64_t seed) const {
  std::vector<size_t> order(rows_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<std::pair<double, double>> keys;
  for (size_t i = 0; i < order.size(); ++i) {
    const double noise = 4 * uniform_share(mix(seed, i));
    keys.emplace_back(rows_[i].tokens, static_cast<double>(rows_[i].size) + noise);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  return order;
}

void LengthBuckets::cut(int64_t tokens) const {
  tokens_ = tokens;
  const std::vector<size_t> order = sorted(0);
  firsts_ = {0};
  for (size_t i = 0; i < order.size(); ++i) {
    const auto rows = static_cast<int64_t>(i) - firsts_.back() + 1;
    if (rows > 1 && rows * static_cast<int64_t>(rows_[order[i]].tokens) > tokens)
      firsts_.push_back(static_cast<int64_t>(i));
  }
  firsts_.push_back(static_cast<int64_t>(order.size()));
}

std::vector<size_t> evenly_chosen(size_t count, int64_t most) {
  std::vector<size_t> chosen(std::min(static_cast<size_t>(most), count));
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = i * count / chosen.size();
  return chosen;
}

}  // namespace headlight::task
