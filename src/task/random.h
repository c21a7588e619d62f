// Many independent streams out of one seed.
#pragma once

#include <bit>
#include <cstdint>

#include "headlight/splitmix64.h"

namespace headlight::task {

using Random = SplitMix64;

// A seed for stream b of seed a.
constexpr uint64_t mix(uint64_t a, uint64_t b) {
  return Random::finalized(Random::finalized(a + Random::kGamma) + (b + 1) * Random::kGamma);
}

// Where element `index` of [0, n) goes in the shuffle number `seed`: a permutation without a table.
// A Feistel network over the next power of four; values outside of [0, n) walk on until inside.
constexpr int64_t shuffled(int64_t index, int64_t n, uint64_t seed) {
  const int half = (std::bit_width(static_cast<uint64_t>(n - 1)) + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  auto value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half, right = value & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      const uint64_t next = left ^ (mix(mix(seed, round), right) & mask);
      left = right;
      right = next;
    }
    value = left << half | right;
  } while (value >= static_cast<uint64_t>(n));
  return static_cast<int64_t>(value);
}

// Of all numbers in their order, after what was hashed before.
template <typename Numbers>
uint64_t hash_of(const Numbers& all, uint64_t hash) {
  for (const auto one : all) hash = mix(hash, static_cast<uint64_t>(one));
  return hash;
}

}  // namespace headlight::task
