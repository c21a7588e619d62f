// Which queries of a long text are read: every number of a row costs as much as there are keys.
#pragma once

#include <cstdint>
#include <vector>

namespace headlight::lab {

inline constexpr int64_t kSampledRows = 1024, kRunOfRows = 16;

// 64 runs of 16 neighbouring queries, spread evenly from the first to the last, as a mask over
// `queries` (more than 1,024) queries; 0 where `valid` (empty: all) is 0.
std::vector<uint8_t> sampled_rows(const std::vector<uint8_t>& valid, int64_t queries);

}  // namespace headlight::lab
