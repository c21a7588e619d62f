#include "oracle.h"

#include <cmath>
#include <limits>

namespace headlight::attention {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

uint64_t split_mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

int64_t Broadcast::index(const AttentionShape& s, int64_t b, int64_t h, int64_t i,
                         int64_t j) const {
  int64_t at = 0;
  const auto step = [&](bool over, int64_t size, int64_t position) {
    if (over) at = at * size + position;
  };
  step(over_batch, s.batch, b);
  step(over_heads, s.heads, h);
  step(over_queries, s.queries, i);
  step(over_keys, s.keys, j);
  return at;
}

int64_t Broadcast::size(const AttentionShape& s) const {
  return (over_batch ? s.batch : 1) * (over_heads ? s.heads : 1) * (over_queries ? s.queries : 1) *
         (over_keys ? s.keys : 1);
}

bool may_attend(const Case& c, int64_t b, int64_t h, int64_t i, int64_t j) {
  const AttentionShape& s = c.shape;
  const AttentionOptions<double>& o = c.numbers;
  const int64_t length = c.key_lengths.empty() ? s.keys : c.key_lengths[b];
  if (j >= length) return false;
  int64_t offset = 0;
  if (o.causal == Causal::bottom_right) offset = length - s.queries;
  if (o.causal == Causal::offset) offset = o.causal_offset;
  if (o.causal != Causal::none && j > i + offset) return false;
  if (o.window_left >= 0 && j < i + offset - o.window_left) return false;
  if (o.window_right >= 0 && j > i + offset + o.window_right) return false;
  if (!c.allowed.values.empty() && c.allowed.values[c.allowed.index(s, b, h, i, j)] == 0) {
    return false;
  }
  return c.mask.values.empty() || c.mask.values[c.mask.index(s, b, h, i, j)] != -kInfinity;
}

bool dropout_keeps_pair(const AttentionOptions<double>& o, int64_t b, int64_t h, int64_t i,
                        int64_t j) {
  if (o.dropout == 0) return true;
  const uint64_t key =
      split_mix(split_mix(split_mix(split_mix(o.seed) ^ uint64_t(b)) ^ uint64_t(h)) ^ uint64_t(i));
  uint32_t x = uint32_t(key) + uint32_t(j) * 0x9E3779B9u;
  x = (x ^ (x >> 16)) * 0x7FEB352Du;
  x ^= uint32_t(key >> 32);
  x = (x ^ (x >> 15)) * 0x846CA68Bu;
  x ^= x >> 16;
  return x >= std::round(o.dropout * 4294967296.0);
}

Results oracle(const Case& c, const std::vector<double>& stored_out) {
  const AttentionShape& s = c.shape;
  const AttentionOptions<double>& o = c.numbers;
  const int64_t group = s.heads / s.kv_heads;
  const double scale = o.scale != 0 ? o.scale : 1 / std::sqrt(double(s.head_dim));
  Results r;
  r.out.assign(s.batch * s.heads * s.queries * s.value_dim, 0);
  r.lse.assign(s.batch * s.heads * s.queries, -kInfinity);
  r.weights.assign(s.batch * s.heads * s.queries * s.keys, 0);
  r.grad_q.assign(c.q.size(), 0);
  r.grad_k.assign(c.k.size(), 0);
  r.grad_v.assign(c.v.size(), 0);
  r.grad_bias.assign(c.bias.values.empty() ? 0 : c.bias.size(s), 0);
  r.grad_sinks.assign(c.sinks.size(), 0);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 0; i < s.queries; ++i) {
        const int64_t row = (b * s.heads + h) * s.queries + i;
        const int64_t first_key = (b * s.kv_heads + h / group) * s.keys;
        std::vector<int64_t> keys;
        std::vector<double> score, slope;
        double top = c.sinks.empty() ? -kInfinity : c.sinks[h];
        for (int64_t j = 0; j < s.keys; ++j) {
          if (!may_attend(c, b, h, i, j)) continue;
          double x = 0;
          for (int64_t d = 0; d < s.head_dim; ++d) {
            x += c.q[row * s.head_dim + d] * c.k[(first_key + j) * s.head_dim + d];
          }
          x *= scale;
          slope.push_back(1);
          if (o.softcap > 0) {
            const double t = std::tanh(x / o.softcap);
            x = o.softcap * t;
            slope.back() = 1 - t * t;
          }
          if (!c.bias.values.empty()) x += c.bias.values[c.bias.index(s, b, h, i, j)];
          if (!c.mask.values.empty()) x += c.mask.values[c.mask.index(s, b, h, i, j)];
          keys.push_back(j);
          score.push_back(x);
          if (std::isnan(x) || x > top) top = x;
        }
        if (top == -kInfinity) continue;
        double total = c.sinks.empty() ? 0 : std::exp(c.sinks[h] - top);
        for (double x : score) total += std::exp(x - top);
        r.lse[row] = top + std::log(total);
        const double keep_scale = 1 / (1 - o.dropout);
        double* out = &r.out[row * s.value_dim];
        const double* grad_out = &c.grad_out[row * s.value_dim];
        std::vector<double> weight(keys.size()), kept(keys.size()), grad(keys.size());
        for (std::size_t n = 0; n < keys.size(); ++n) {
          weight[n] = std::exp(score[n] - top) / total;
          r.weights[row * s.keys + keys[n]] = weight[n];
          kept[n] = dropout_keeps_pair(o, b, h, i, keys[n]) ? keep_scale : 0;
          const double* v = &c.v[(first_key + keys[n]) * s.value_dim];
          for (int64_t e = 0; e < s.value_dim; ++e) out[e] += weight[n] * kept[n] * v[e];
        }
        const double* stored = stored_out.empty() ? out : &stored_out[row * s.value_dim];
        double delta = 0;
        for (int64_t e = 0; e < s.value_dim; ++e) delta += grad_out[e] * stored[e];
        if (!c.sinks.empty()) r.grad_sinks[h] -= std::exp(c.sinks[h] - r.lse[row]) * delta;
        for (std::size_t n = 0; n < keys.size(); ++n) {
          const int64_t j = first_key + keys[n];
          double dp = 0;
          for (int64_t e = 0; e < s.value_dim; ++e) {
            dp += grad_out[e] * c.v[j * s.value_dim + e];
            r.grad_v[j * s.value_dim + e] += weight[n] * kept[n] * grad_out[e];
          }
          double ds = weight[n] * (dp * kept[n] - delta);
          if (!c.bias.values.empty()) r.grad_bias[c.bias.index(s, b, h, i, keys[n])] += ds;
          ds *= slope[n] * scale;
          for (int64_t d = 0; d < s.head_dim; ++d) {
            r.grad_q[row * s.head_dim + d] += ds * c.k[j * s.head_dim + d];
            r.grad_k[j * s.head_dim + d] += ds * c.q[row * s.head_dim + d];
          }
        }
      }
    }
  }
  return r;
}

}  // namespace headlight::attention
