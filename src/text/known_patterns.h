// The splitting patterns that nearly every byte-level model uses, scanned without a regex engine.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace headlight::text {

struct KnownPattern {
  bool gpt2 = false;       // otherwise the later family: cl100k, Llama 3, Qwen 2
  int digits_at_most = 0;  // in one piece; of the later family
};

inline constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Whether the regular expression is one of them, to the letter.
std::optional<KnownPattern> known_pattern(std::string_view regex);

// The matches of that pattern: together they cover the whole text.
std::vector<Range> find_all(std::string_view text, const KnownPattern& pattern);

}  // namespace headlight::text
