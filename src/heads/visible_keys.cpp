#include "heads/visible_keys.h"

#include <algorithm>
#include <string>

#include "headlight/error.h"

namespace headlight::heads {
namespace {

void require_size(const std::vector<uint8_t>& mask, int64_t size, const char* what) {
  if (!mask.empty() && static_cast<int64_t>(mask.size()) != size)
    throw Error(ErrorKind::usage, std::string(what) + " has " + std::to_string(mask.size()) +
                                      " entries where the attention has " + std::to_string(size));
}

}  // namespace

VisibleKeys::VisibleKeys(const Attention& attention)
    : queries(attention.queries), keys(attention.keys), visibility_(attention.visibility) {
  if (attention.heads < 1 || queries < 1 || keys < 1)
    throw Error(ErrorKind::usage, "attention needs at least one head, one query and one key");
  if (visibility_.window < 0 || visibility_.query_offset < 0)
    throw Error(ErrorKind::usage, "the window and the query offset must not be negative");
  require_size(visibility_.query_valid, queries, "query_valid");
  require_size(visibility_.key_valid, keys, "key_valid");
  require_size(visibility_.allowed, queries * keys, "allowed");

  begin.assign(queries, 0);
  end.assign(queries, 0);
  count.assign(queries, 0);
  seen_by.assign(keys, 0);
  choices_at_offset.assign(offsets(), 0);
  const bool filtered = !visibility_.allowed.empty() || !visibility_.key_valid.empty();
  for (int64_t i = 0; i < queries; ++i) {
    if (!visibility_.query_valid.empty() && !visibility_.query_valid[i]) continue;
    int64_t low = 0, high = keys;
    if (visibility_.causal) high = std::min(high, position(i) + 1);
    if (visibility_.window > 0) {
      low = std::max(low, position(i) - visibility_.window + 1);
      high = std::min(high, position(i) + visibility_.window);
    }
    if (filtered) {
      while (low < high && !allowed(i, low)) ++low;
      while (low < high && !allowed(i, high - 1)) --high;
    }
    if (low >= high) continue;
    begin[i] = low;
    end[i] = high;
    int64_t seen = 0;
    for (int64_t j = low; j < high; ++j) seen += !filtered || allowed(i, j);
    count[i] = seen;
    ++used_rows;
    rows_with_choice += seen >= 2;
    if (first_token < 0 || low < first_token) first_token = low;
    int64_t* offset = choices_at_offset.data() + (queries - 1 - i);
    for (int64_t j = low; j < high; ++j)
      if (!filtered || allowed(i, j)) {
        ++seen_by[j];
        offset[j] += seen >= 2;
      }
  }
}

bool VisibleKeys::allowed(int64_t query, int64_t key) const {
  if (!visibility_.key_valid.empty() && !visibility_.key_valid[key]) return false;
  return visibility_.allowed.empty() || visibility_.allowed[query * keys + key];
}

bool VisibleKeys::visible(int64_t query, int64_t key) const {
  return count[query] > 0 && key >= begin[query] && key < end[query] && allowed(query, key);
}

std::vector<float> seen_values(const Attention& attention, const VisibleKeys& keys) {
  const ValuesAndOutput& output = *attention.output;
  std::vector<float> seen(output.kv_heads * attention.keys * output.value_dim, 0.0f);
  for (int64_t h = 0; h < output.kv_heads; ++h)
    for (int64_t j = 0; j < attention.keys; ++j) {
      if (keys.seen_by[j] == 0) continue;
      const float* from = output.v.data + h * output.v.head_stride + j * output.v.row_stride;
      std::copy_n(from, output.value_dim,
                  seen.data() + (h * attention.keys + j) * output.value_dim);
    }
  return seen;
}

}  // namespace headlight::heads
