#include "heads/assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "headlight/error.h"

namespace headlight::heads {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

std::vector<std::vector<double>> transposed(const std::vector<std::vector<double>>& cost) {
  std::vector<std::vector<double>> turned(cost[0].size(), std::vector<double>(cost.size()));
  for (size_t r = 0; r < cost.size(); ++r)
    for (size_t c = 0; c < cost[r].size(); ++c) turned[c][r] = cost[r][c];
  return turned;
}

// The row of each column, -1 for none; no more rows than columns. Prices of rows and columns keep
// every reduced cost cost - row_price - column_price at 0 or above, and at 0 for assigned pairs.
std::vector<int64_t> rows_of_columns(const std::vector<std::vector<double>>& cost) {
  const size_t rows = cost.size(), columns = cost[0].size();
  std::vector<double> row_price(rows, 0.0), column_price(columns, 0.0);
  std::vector<int64_t> row_of(columns, -1), column_of(rows, -1);
  for (size_t start = 0; start < rows; ++start) {
    // Dijkstra from the row to the nearest free column, along columns that are taken.
    std::vector<double> distance(columns, kFar);
    std::vector<int64_t> came_from(columns, -1);
    std::vector<bool> settled(columns, false);
    std::vector<size_t> visited{start};
    double length = 0;
    size_t row = start, end = columns;
    while (end == columns) {
      size_t nearest = columns;
      for (size_t c = 0; c < columns; ++c) {
        if (settled[c]) continue;
        const double there = length + cost[row][c] - row_price[row] - column_price[c];
        if (there < distance[c]) {
          distance[c] = there;
          came_from[c] = static_cast<int64_t>(row);
        }
        if (nearest == columns || distance[c] < distance[nearest] ||
            (distance[c] == distance[nearest] && row_of[c] < 0 && row_of[nearest] >= 0))
          nearest = c;
      }
      settled[nearest] = true;
      length = distance[nearest];
      if (row_of[nearest] < 0) {
        end = nearest;
      } else {
        row = static_cast<size_t>(row_of[nearest]);
        visited.push_back(row);
      }
    }
    for (const size_t r : visited)
      row_price[r] += length - (r == start ? 0 : distance[static_cast<size_t>(column_of[r])]);
    for (size_t c = 0; c < columns; ++c)
      if (settled[c]) column_price[c] -= length - distance[c];
    for (size_t c = end;;) {
      const auto r = static_cast<size_t>(came_from[c]);
      row_of[c] = static_cast<int64_t>(r);
      const int64_t before = column_of[r];
      column_of[r] = static_cast<int64_t>(c);
      if (r == start) break;
      c = static_cast<size_t>(before);
    }
  }
  return row_of;
}

}  // namespace

std::vector<int64_t> assignment(const std::vector<std::vector<double>>& cost) {
  std::vector<int64_t> column_of(cost.size(), -1);
  if (cost.empty()) return column_of;
  for (const auto& row : cost) {
    if (row.size() != cost[0].size())
      throw Error(ErrorKind::usage, "the costs of an assignment must form a rectangle");
    for (const double value : row)
      if (!std::isfinite(value))
        throw Error(ErrorKind::usage, "the costs of an assignment must be finite");
  }
  if (cost[0].empty()) return column_of;
  if (cost.size() > cost[0].size()) return rows_of_columns(transposed(cost));
  const std::vector<int64_t> row_of = rows_of_columns(cost);
  for (size_t c = 0; c < row_of.size(); ++c)
    if (row_of[c] >= 0) column_of[static_cast<size_t>(row_of[c])] = static_cast<int64_t>(c);
  return column_of;
}

}  // namespace headlight::heads
