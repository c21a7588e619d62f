// Random problems: shapes, options, masks.
#pragma once

#include <limits>
#include <random>

#include "run_case.h"

namespace headlight::attention {

class Draw {
 public:
  explicit Draw(uint64_t seed) : random(seed) {}
  int64_t from(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  bool chance(int percent) { return from(1, 100) <= percent; }
  std::mt19937_64 random;
};

inline Broadcast random_scores(Draw& draw, const AttentionShape& s) {
  Broadcast x;
  x.over_batch = draw.chance(50);
  x.over_heads = draw.chance(50);
  x.over_queries = draw.chance(70);
  x.over_keys = draw.chance(85);
  x.values = normal_numbers(draw.random, x.size(s));
  return x;
}

inline Case random_case(uint64_t seed) {
  Draw draw(seed);
  AttentionShape s;
  s.batch = draw.from(1, 3);
  s.kv_heads = draw.from(1, 3);
  s.heads = s.kv_heads * draw.from(1, 3);
  s.queries = draw.chance(25)   ? draw.from(1, 8)
              : draw.chance(80) ? draw.from(1, 40)
                                : draw.from(41, 150);
  s.keys = draw.chance(40) ? s.queries : draw.chance(80) ? draw.from(1, 70) : draw.from(100, 300);
  s.head_dim = draw.chance(70) ? draw.from(1, 20) : draw.from(21, 100);
  s.value_dim = draw.chance(50) ? s.head_dim : draw.from(1, 40);
  if (draw.chance(25)) {  // rows of whole vectors, as decoding wants them
    s.head_dim = 16 * draw.from(2, 8);
    s.value_dim = 16 * draw.from(2, 8);
  }
  Case c = plain_case(s, seed + 1);
  AttentionOptions<double>& o = c.numbers;
  if (draw.chance(30)) o.scale = 0.1 * static_cast<double>(draw.from(-5, 12));
  if (draw.chance(25)) o.softcap = static_cast<double>(draw.from(1, 40)) / 8;
  if (draw.chance(50)) o.causal = static_cast<Causal>(draw.from(1, 3));
  if (o.causal == Causal::offset) o.causal_offset = draw.from(-20, 40);
  if (draw.chance(20)) o.window_left = draw.from(0, 30);
  if (draw.chance(20)) o.window_right = draw.from(0, 30);
  if (draw.chance(25)) {
    for (int64_t b = 0; b < s.batch; ++b) c.key_lengths.push_back(draw.from(0, s.keys));
  }
  if (draw.chance(25)) {
    c.allowed = random_scores(draw, s);
    for (double& x : c.allowed.values) x = x > -0.5;
  }
  if (draw.chance(25)) {
    c.mask = random_scores(draw, s);
    for (double& x : c.mask.values) {
      if (x < -1) x = -std::numeric_limits<double>::infinity();
    }
  }
  if (draw.chance(25)) c.bias = random_scores(draw, s);
  if (draw.chance(20)) c.sinks = normal_numbers(draw.random, s.heads);
  if (draw.chance(20)) {
    o.dropout = 0.25;
    o.seed = seed;
  }
  return c;
}

// Of the widths and options that have a backward pass of their own, and of those next to them.
inline Case random_narrow_case(uint64_t seed) {
  Draw draw(seed);
  const int64_t kv_heads = draw.from(1, 2);
  const int64_t queries = draw.chance(70) ? draw.from(9, 70) : draw.from(1, 150);
  const int64_t keys = draw.chance(60) ? queries : draw.from(1, 300);
  Case c = plain_case({draw.from(1, 3), kv_heads * draw.from(1, 2), kv_heads, queries, keys,
                       draw.from(1, 5), draw.from(1, 5)},
                      seed);
  AttentionOptions<double>& o = c.numbers;
  o.causal = static_cast<Causal>(draw.from(0, 3));
  if (o.causal == Causal::offset) o.causal_offset = draw.from(-20, 40);
  if (draw.chance(30)) o.window_left = draw.from(0, 30);
  if (draw.chance(30)) o.window_right = draw.from(0, 30);
  if (draw.chance(30)) {
    for (int64_t b = 0; b < c.shape.batch; ++b) c.key_lengths.push_back(draw.from(0, keys));
  }
  if (draw.chance(30)) {
    o.dropout = 0.25;
    o.seed = seed;
  }
  return c;
}

}  // namespace headlight::attention
