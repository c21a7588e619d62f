// Who belongs to whom at the least total cost.
#pragma once

#include <cstdint>
#include <vector>

namespace headlight::heads {

// Each row its own column, so that the sum of costs is the smallest there is: shortest augmenting
// paths in O(rows^2 columns) (Jonker & Volgenant 1987; for any shape as in Crouse, "On implementing
// 2D rectangular assignment algorithms", IEEE TAES 2016). cost[row][column] is finite. Where rows
// outnumber columns, or columns rows, some stay alone: -1 for such a row. Throws headlight::Error
// (usage) for rows of different lengths and costs that are not finite.
std::vector<int64_t> assignment(const std::vector<std::vector<double>>& cost);

}  // namespace headlight::heads
