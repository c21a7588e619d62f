// Which rows make the batch of a step, where rows are of many lengths: those of about one length
// together, and every row once an epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace headlight::task {

class LengthBuckets {
 public:
  struct Row {
    size_t tokens = 0;  // how many it counts for
    size_t size = 0;    // rows that count for as many come roughly in the order of this
  };
  explicit LengthBuckets(std::vector<Row> rows) : rows_(std::move(rows)) {}

  // At most so many tokens, padding included; a single longer row makes a batch of its own. Any
  // number of threads may ask, each best for one run.
  std::vector<size_t> rows(uint64_t seed, int64_t step, int64_t tokens) const;

 private:
  std::vector<size_t> sorted(uint64_t seed) const;
  void cut(int64_t tokens) const;

  std::vector<Row> rows_;
  mutable std::mutex mutex_;
  mutable int64_t tokens_ = -1;
  mutable std::vector<int64_t> firsts_;  // places in an order where batches begin, and its end
  // Of the epoch that each thread is in.
  struct Epoch {
    uint64_t seed = 0;
    std::vector<size_t> order;
  };
  mutable std::map<std::thread::id, Epoch> epochs_;
};

// So many of `count` rows, or all, with like distances between them.
std::vector<size_t> evenly_chosen(size_t count, int64_t most);

}  // namespace headlight::task
