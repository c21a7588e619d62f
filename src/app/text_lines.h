// Text as users bring it: a line per example, or columns of a .tsv.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace headlight::app {

struct Line {
  std::string where;  // for messages: "FILE: line 3"
  std::string text;   // without the end of the line
};

// All throw Error (bad_input) that names the file and the line.
std::vector<Line> lines_of(const std::filesystem::path& path);
Line whole_file(const std::filesystem::path& path);

// Two texts that belong together, line by line.
struct LinePairs {
  std::vector<Line> first, second;
};
LinePairs pairs_of(const std::filesystem::path& first, const std::filesystem::path& second);
// The two columns of a .tsv.
LinePairs pairs_of(const std::filesystem::path& tsv);

}  // namespace headlight::app
