// Attention as the definition says it, in plain loops over doubles: what every kernel is held to.
#pragma once

#include <cstdint>
#include <vector>

#include "headlight/attention.h"

namespace headlight::attention {

// A score tensor that may repeat: dense over the dimensions whose flag is set.
struct Broadcast {
  std::vector<double> values;  // empty: absent
  bool over_batch = true, over_heads = true, over_queries = true, over_keys = true;

  int64_t index(const AttentionShape& s, int64_t b, int64_t h, int64_t i, int64_t j) const;
  int64_t size(const AttentionShape& s) const;
};

// One problem; tensors dense in [batch, heads, rows, dim].
struct Case {
  AttentionShape shape;
  std::vector<double> q, k, v, grad_out;
  Broadcast allowed, mask, bias;  // allowed holds 0 and 1
  std::vector<double> sinks;
  std::vector<int64_t> key_lengths;
  AttentionOptions<double> numbers;  // the options that are plain numbers
};

struct Results {
  std::vector<double> out, lse;
  std::vector<double> weights;  // [batch, heads, queries, keys] before dropout
  std::vector<double> grad_q, grad_k, grad_v, grad_bias, grad_sinks;
};

bool may_attend(const Case& c, int64_t b, int64_t h, int64_t i, int64_t j);

// The dropout rule, written down a second time.
bool dropout_keeps_pair(const AttentionOptions<double>& o, int64_t b, int64_t h, int64_t i,
                        int64_t j);

// Forward and backward. The gradients read `out` as it is stored, if that is given: with 16 bits it
// is rounded.
Results oracle(const Case& c, const std::vector<double>& stored_out = {});

}  // namespace headlight::attention
