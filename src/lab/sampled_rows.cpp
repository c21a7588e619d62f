#include "lab/sampled_rows.h"

#include <algorithm>

namespace headlight::lab {

std::vector<uint8_t> sampled_rows(const std::vector<uint8_t>& valid, int64_t queries) {
  std::vector<uint8_t> sampled(static_cast<size_t>(queries), 0);
  const int64_t runs = kSampledRows / kRunOfRows, last = (queries - kRunOfRows) / kRunOfRows;
  for (int64_t run = 0; run < runs; ++run) {
    // Runs begin at multiples of 16, where a band of rows does.
    const int64_t first = run * last / (runs - 1) * kRunOfRows;
    for (int64_t i = first; i < first + kRunOfRows; ++i)
      sampled[static_cast<size_t>(i)] = valid.empty() || valid[static_cast<size_t>(i)];
  }
  return sampled;
}

}  // namespace headlight::lab
