// The character map that sentencepiece models carry, as tokenizer.json keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/aligned_text.h"

namespace headlight::text {

struct PrecompiledCharsmap {
  std::vector<uint32_t> trie;  // a double array from what is replaced to a place in `replacements`
  std::string replacements;    // each ends with a zero byte
};

// From base64. Throws Error (bad_input) for what is none.
PrecompiledCharsmap read_charsmap(std::string_view base64);
// From the bytes of a sentencepiece model. Throws Error (bad_input).
PrecompiledCharsmap parse_charsmap(std::string_view bytes);

void apply_charsmap(const PrecompiledCharsmap& map, AlignedText& text);

}  // namespace headlight::text
