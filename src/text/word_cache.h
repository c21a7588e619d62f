// Words that were seen before, and their tokens: natural text repeats itself.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/word_model.h"

namespace headlight::text {

// Bounded; forgets everything when it is full. For one thread at a time.
class WordCache {
 public:
  WordCache() : slots_(kSlots) {}
  // The tokens of a word, from memory or from the model. Valid until the next call.
  std::span<const WordToken> tokens_of(std::string_view word, const WordModel& model);

 private:
  static constexpr size_t kSlots = 1 << 16, kMostWords = kSlots / 2, kMostBytes = 4 << 20,
                          kLongestWord = 256;
  struct Slot {
    uint64_t hash = 0;
    uint32_t text = 0, text_size = 0;  // text_size 0: empty slot
    uint32_t tokens = 0, token_count = 0;
  };
  void forget();

  std::vector<Slot> slots_;
  std::string texts_;
  std::vector<WordToken> tokens_;
  std::vector<WordToken> scratch_;
  size_t words_ = 0;
};

// A few caches for the threads that use one tokenizer. A thread that finds all of them taken works
// with one of its own for the while.
class WordCaches {
 public:
  template <typename Use>
  void with_one(Use use) {
    for (Guarded& guarded : caches_) {
      const std::unique_lock lock(guarded.mutex, std::try_to_lock);
      if (!lock.owns_lock()) continue;
      if (!guarded.cache) guarded.cache = std::make_unique<WordCache>();
      return use(*guarded.cache);
    }
    WordCache own;
    use(own);
  }

 private:
  struct Guarded {
    std::mutex mutex;
    std::unique_ptr<WordCache> cache;
  };
  std::array<Guarded, 16> caches_;
};

}  // namespace headlight::text
