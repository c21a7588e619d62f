// A line as the numbers that scores compare: words or characters, and their runs of n.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace headlight::score {

// All lines here are UTF-8.

// The words between white space: what Unicode calls so, and the four separators U+001C to U+001F,
// as Python's split() sees it.
std::vector<std::string_view> words_of(std::string_view line);

// Code points of a line without white space.
std::vector<uint32_t> characters_of(std::string_view line);

// The same number for the same word.
class WordNumbers {
 public:
  std::vector<uint32_t> of(std::span<const std::string> words);
  std::vector<uint32_t> of(std::span<const std::string_view> words);

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
};

// Runs of n in each of two lines, and how many of them both have (each as often as in the one that
// has it less often).
struct Overlap {
  int64_t first = 0, second = 0, both = 0;
};
Overlap overlap(std::span<const uint32_t> first, std::span<const uint32_t> second, size_t n);

}  // namespace headlight::score
