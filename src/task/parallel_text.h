// Pairs of lines from files, or lines alone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace headlight::task {

struct ParallelText {
  std::vector<std::string> sources;  // empty where lines stand alone
  std::vector<std::string> targets;
};

// Two files that agree line by line, or one with a source, a tab and its target on every line, or
// with {"source": ..., "target": ...} on every line.
// Throws Error (bad_input) naming the file and the line for what is not so, and for text that is
// not UTF-8.
ParallelText read_pairs(const std::vector<std::filesystem::path>& files);

// The lines of all files.
ParallelText read_alone(const std::vector<std::filesystem::path>& files);

// Removes pairs with an empty side, and returns how many.
int64_t remove_empty(ParallelText& text);

// Moves about `share` of the pairs, about `most` at most and at least one, into the result: which
// ones depends on the text of a source (or line) alone, so that equal ones stay on one side.
ParallelText hold_out(ParallelText& text, double share, int64_t most);

}  // namespace headlight::task
