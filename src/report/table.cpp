#include "report/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "report/terminal.h"

namespace headlight::report {
namespace {

constexpr int kColumnGap = 2;
constexpr int kNarrowest = 8;  // words are not shortened below this
constexpr const char* kBold = "\033[1m";
constexpr const char* kDim = "\033[2m";
constexpr const char* kPlain = "\033[0m";

std::string cell(const Table& table, size_t row, size_t column) {
  const auto& cells = table.rows[row];
  return column < cells.size() ? printable(cells[column]) : "";
}

int natural_width(const Table& table, size_t column) {
  int width = display_width(printable(table.columns[column].title));
  for (size_t row = 0; row < table.rows.size(); ++row)
    width = std::max(width, display_width(cell(table, row, column)));
  return width;
}

int64_t total(const std::vector<size_t>& shown, const std::vector<int>& widths) {
  int64_t sum = shown.empty() ? 0 : -kColumnGap;
  for (const size_t column : shown) sum += widths[column] + kColumnGap;
  return sum;
}

// Takes out the column to go first; false if all that are left stay.
bool drop_one(const Table& table, std::vector<size_t>& shown) {
  auto first = shown.end();
  for (auto it = shown.begin(); it != shown.end(); ++it) {
    const int order = table.columns[*it].drop;
    if (order > 0 && (first == shown.end() || order <= table.columns[*first].drop)) first = it;
  }
  if (first == shown.end()) return false;
  shown.erase(first);
  return true;
}

void shorten_words(const Table& table, const std::vector<size_t>& shown, std::vector<int>& widths,
                   int width) {
  while (total(shown, widths) > width) {
    int* widest = nullptr;
    for (const size_t column : shown)
      if (!table.columns[column].right && widths[column] > kNarrowest &&
          (!widest || widths[column] > *widest))
        widest = &widths[column];
    if (!widest) return;
    *widest = int(std::max<int64_t>(kNarrowest, *widest - (total(shown, widths) - width)));
  }
}

std::string line(const Table& table, const std::vector<size_t>& shown,
                 const std::vector<int>& widths, auto&& text) {
  std::string result;
  for (size_t i = 0; i < shown.size(); ++i) {
    const size_t column = shown[i];
    const std::string content = clipped(text(column), widths[column]);
    const std::string space(size_t(std::max(0, widths[column] - display_width(content))), ' ');
    const bool last = i + 1 == shown.size();
    result += table.columns[column].right ? space + content : content + (last ? "" : space);
    if (!last) result += std::string(kColumnGap, ' ');
  }
  return result;
}

}  // namespace

std::string render(const Table& table, int width, bool colour) {
  std::vector<int> widths;
  for (size_t column = 0; column < table.columns.size(); ++column)
    widths.push_back(natural_width(table, column));
  std::vector<size_t> shown(table.columns.size());
  std::iota(shown.begin(), shown.end(), size_t{0});
  while (total(shown, widths) > width && drop_one(table, shown)) {
  }
  shorten_words(table, shown, widths, width);

  const auto styled = [&](const char* style, const std::string& text) {
    return colour ? style + text + kPlain : text;
  };
  std::string rule;
  for (int64_t i = 0; i < total(shown, widths); ++i) rule += "─";
  std::string result = styled(kBold, line(table, shown, widths, [&](size_t column) {
                                return printable(table.columns[column].title);
                              }));
  result += "\n" + styled(kDim, rule) + "\n";
  for (size_t row = 0; row < table.rows.size(); ++row)
    result += line(table, shown, widths, [&](size_t c) { return cell(table, row, c); }) + "\n";

  std::vector<std::string> dropped;
  for (size_t column = 0; column < table.columns.size(); ++column)
    if (std::find(shown.begin(), shown.end(), column) == shown.end())
      dropped.push_back(printable(table.columns[column].title));
  if (!dropped.empty())
    result +=
        styled(kDim, wrapped(fmt::format("not shown at this width: {}", fmt::join(dropped, ", ")),
                             width)) +
        "\n";
  return result;
}

}  // namespace headlight::report
