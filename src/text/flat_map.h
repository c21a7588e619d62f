// A hash table from 64-bit keys to small values, in two arrays: built once, then only read.
#pragma once

#include <cstdint>
#include <vector>

namespace headlight::text {

inline uint64_t mixed(uint64_t key) {
  key *= 0x9E3779B97F4A7C15U;
  return key ^ key >> 32;
}

template <typename Value>
class FlatMap {
 public:
  // A second value for a key replaces the first.
  void set(uint64_t key, Value value) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[place_of(key)];
    count_ += !slot.used;
    slot = {key, value, true};
  }
  const Value* find(uint64_t key) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[place_of(key)];
    return slot.used ? &slot.value : nullptr;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    Value value{};
    bool used = false;
  };
  size_t place_of(uint64_t key) const {
    size_t place = mixed(key) & (slots_.size() - 1);
    while (slots_[place].used && slots_[place].key != key)
      place = (place + 1) & (slots_.size() - 1);
    return place;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.used) slots_[place_of(slot.key)] = slot;
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace headlight::text
