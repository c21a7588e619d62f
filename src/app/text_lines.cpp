#include "app/text_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "text/lines.h"

namespace headlight::app {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kTextBytes = int64_t{256} << 20;

[[noreturn]] void refuse_lines(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

}  // namespace

std::vector<Line> lines_of(const fs::path& path) {
  std::vector<Line> lines;
  for (std::string& text : text::read_lines(path))
    lines.push_back({fmt::format("{}: line {}", path.string(), lines.size() + 1), std::move(text)});
  if (lines.empty()) refuse_lines(path.string() + ": is empty; a line per example belongs there");
  return lines;
}

Line whole_file(const fs::path& path) {
  std::string text = tensorfile::read_text_file(path, kTextBytes);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return {path.string(), std::move(text)};
}

LinePairs pairs_of(const fs::path& first, const fs::path& second) {
  LinePairs pairs{lines_of(first), lines_of(second)};
  if (pairs.first.size() != pairs.second.size())
    refuse_lines(fmt::format("--pairs: {} has {} lines and {} has {}; they must be parallel",
                             first.string(), pairs.first.size(), second.string(),
                             pairs.second.size()));
  return pairs;
}

LinePairs pairs_of(const fs::path& tsv) {
  LinePairs pairs;
  for (const Line& line : lines_of(tsv)) {
    const size_t tab = line.text.find('\t');
    if (tab == std::string::npos || line.text.find('\t', tab + 1) != std::string::npos)
      refuse_lines(fmt::format("{}: has {} columns; two with one tab between them belong there",
                               line.where, std::ranges::count(line.text, '\t') + 1));
    pairs.first.push_back({line.where, line.text.substr(0, tab)});
    pairs.second.push_back({line.where, line.text.substr(tab + 1)});
  }
  return pairs;
}

}  // namespace headlight::app
