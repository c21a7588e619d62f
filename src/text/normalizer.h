// What is done to text before it is split into words.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "text/aligned_text.h"
#include "text/normal_form.h"
#include "text/precompiled_charsmap.h"
#include "text/regex.h"

namespace headlight::text {

struct BertNormalizer {
  bool clean_text = true;
  bool space_cjk = true;
  bool strip_accents = true;
  bool lower_case = true;
};
struct LowerCase {};
struct StripAccents {};
struct StripSpaces {
  bool left = true, right = true;
};
// A string, or a regular expression; the content is taken as it is.
struct ReplaceText {
  std::variant<std::string, Regex> pattern;
  std::string content;
};
struct PrependText {
  std::string prefix;  // not before an empty text
};
struct NmtNormalizer {};  // controls out, odd spaces to spaces

using Normalizer = std::variant<BertNormalizer, NormalForm, LowerCase, StripAccents, StripSpaces,
                                ReplaceText, PrependText, NmtNormalizer, PrecompiledCharsmap>;

// One after the other.
void normalize(const std::vector<Normalizer>& normalizers, AlignedText& text);

// Shared with the pre-tokenizers that change text.
void replace(AlignedText& text, const std::vector<Range>& matches, std::string_view content);
void prepend(AlignedText& text, std::string_view prefix);

}  // namespace headlight::text
