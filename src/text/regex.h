// Regular expressions as tokenizer.json means them: Oniguruma's, on UTF-8.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct re_pattern_buffer;

namespace headlight::text {

struct Range {
  size_t begin = 0, end = 0;
  bool operator==(const Range&) const = default;
};

// A value: copies share what was compiled. Searching is safe from any number of threads.
class Regex {
 public:
  // Throws Error (bad_input) with Oniguruma's message for a pattern that is none.
  explicit Regex(const std::string& pattern);
  // All matches from left to right; none overlaps another, and an empty one never touches the one
  // before. Throws Error (bad_input) if a search needs too many steps.
  std::vector<Range> find_all(std::string_view text) const;
  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
  std::shared_ptr<re_pattern_buffer> compiled_;
};

// All places of a plain string, none overlapping another.
std::vector<Range> find_all(std::string_view text, std::string_view what);

}  // namespace headlight::text
