// Which weights dropout keeps: a hash of (seed, batch, head, query, key) and of nothing else, so
// that tiles, instruction sets and threads cannot change it and the backward pass finds it again.
#pragma once

#include "attention/cpu/simd.inl"

namespace headlight::attention {
namespace {

// SplitMix64.
HEADLIGHT_INLINE uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// 64 bits for each query; 32 bits for a pair of query and key are made from them lane by lane.
HEADLIGHT_INLINE uint64_t dropout_head_key(uint64_t seed, int64_t batch, int64_t head) {
  return mix64(mix64(mix64(seed) ^ uint64_t(batch)) ^ uint64_t(head));
}

HEADLIGHT_INLINE uint64_t dropout_query_key(uint64_t head_key, int64_t query) {
  return mix64(head_key ^ uint64_t(query));
}

// True in the lanes whose weight is kept.
template <class S>
HEADLIGHT_INLINE typename S::IntVec dropout_keeps(const uint32_t* low, const uint32_t* high,
                                                  int64_t key, uint32_t drop_below) {
  using WordVec = typename S::WordVec;
  typedef uint32_t LooseHash
      __attribute__((vector_size(4 * S::kLanes), aligned(alignof(uint32_t)), may_alias));
  WordVec x = *reinterpret_cast<const LooseHash*>(low) + uint32_t(key) * 0x9E3779B9u;
  x = (x ^ (x >> 16)) * 0x7FEB352Du;
  x ^= *reinterpret_cast<const LooseHash*>(high);
  x = (x ^ (x >> 15)) * 0x846CA68Bu;
  x ^= x >> 16;
  return __builtin_convertvector(x >= drop_below, typename S::IntVec);
}

}  // namespace
}  // namespace headlight::attention
