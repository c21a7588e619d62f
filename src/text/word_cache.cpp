#include "text/word_cache.h"

#include <cstring>

#include "text/flat_map.h"

namespace headlight::text {
namespace {

uint64_t hash_of(std::string_view text) {
  uint64_t hash = text.size();
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t block;
    std::memcpy(&block, at, 8);
    hash = mixed(hash ^ block) * 0xD6E8FEB86659FD93U;
  }
  uint64_t block = 0;
  std::memcpy(&block, at, left);
  return mixed(hash ^ block ^ left << 56);
}

}  // namespace

void WordCache::forget() {
  slots_.assign(kSlots, {});
  texts_.clear();
  tokens_.clear();
  words_ = 0;
}

std::span<const WordToken> WordCache::tokens_of(std::string_view word, const WordModel& model) {
  const bool keep = word.size() <= kLongestWord;
  const uint64_t hash = keep ? hash_of(word) : 0;
  size_t place = hash & (kSlots - 1);
  if (keep) {
    for (; slots_[place].text_size > 0; place = (place + 1) & (kSlots - 1)) {
      const Slot& slot = slots_[place];
      if (slot.hash == hash && slot.text_size == word.size() &&
          std::memcmp(texts_.data() + slot.text, word.data(), word.size()) == 0)
        return {tokens_.data() + slot.tokens, slot.token_count};
    }
  }
  scratch_.clear();
  model.tokenize(word, scratch_);
  if (!keep) return scratch_;
  if (words_ == kMostWords || texts_.size() > kMostBytes || tokens_.size() > kMostBytes) {
    forget();
    place = hash & (kSlots - 1);
  }
  slots_[place] = {hash, static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(word.size()),
                   static_cast<uint32_t>(tokens_.size()), static_cast<uint32_t>(scratch_.size())};
  texts_ += word;
  tokens_.insert(tokens_.end(), scratch_.begin(), scratch_.end());
  ++words_;
  return scratch_;
}

}  // namespace headlight::text
