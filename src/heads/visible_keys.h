// What the mask alone says: which keys each query sees, and how many. Shared by all heads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heads/attention_source.h"

namespace headlight::heads {

class VisibleKeys {
 public:
  // Keeps a reference to the attention's visibility. Throws headlight::Error (usage) for sizes
  // below 1 and masks of another size.
  explicit VisibleKeys(const Attention&);

  bool visible(int64_t query, int64_t key) const;
  // Sets what query i does not see to zero in a row of all keys, between begin[i] and end[i].
  template <typename T>
  void hide(int64_t query, T* row, T hidden) const {
    if (count[query] == end[query] - begin[query]) return;
    for (int64_t j = begin[query]; j < end[query]; ++j)
      if (!allowed(query, j)) row[j] = hidden;
  }
  int64_t position(int64_t query) const { return query + visibility_.query_offset; }
  // Row index of an offset (key position - query position) in arrays over all offsets.
  int64_t offset_index(int64_t offset) const {
    return offset + queries - 1 + visibility_.query_offset;
  }
  int64_t offsets() const { return queries + keys - 1; }
  int64_t lowest_offset() const { return -(queries - 1) - visibility_.query_offset; }

  int64_t queries = 0, keys = 0;
  std::vector<int64_t> begin, end;  // [queries]: every visible key is in [begin, end); empty: 0, 0
  std::vector<int64_t> count;       // [queries]: number of visible keys, 0 for padding
  int64_t used_rows = 0;
  int64_t rows_with_choice = 0;            // used rows with two or more visible keys
  int64_t first_token = -1;                // lowest key that any used row sees; -1: none
  std::vector<int64_t> seen_by;            // [keys]: used rows that see the key
  std::vector<int64_t> choices_at_offset;  // [offsets()]: rows with a choice that see that offset

 private:
  bool allowed(int64_t query, int64_t key) const;  // inside [begin, end)
  const Visibility& visibility_;
};

// The values of an attention that has some, [kv_heads, keys, value_dim]; 0 for keys that no row
// sees.
std::vector<float> seen_values(const Attention&, const VisibleKeys&);

}  // namespace headlight::heads
