// How text is cut into the words that the model sees.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "text/aligned_text.h"
#include "text/known_patterns.h"
#include "text/regex.h"

namespace headlight::text {

// What becomes of a separator: dropped, a word of its own, part of the word before or after, or
// one word together with its neighbours of the same kind.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

struct SplitBert {};             // spaces removed, each punctuation character isolated
struct SplitWordsAndSymbols {};  // "Whitespace": \w+|[^\w\s]+
struct SplitWhitespace {};
struct SplitPunctuation {
  SplitBehavior behavior = SplitBehavior::isolated;
};
struct SplitDigits {
  bool individual = false;
};
struct SplitPattern {
  std::variant<std::string, Regex, KnownPattern> pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;  // what matches are the words
};
enum class PrependScheme { always, first, never };
struct Metaspace {
  std::string replacement = "\u2581";
  PrependScheme prepend = PrependScheme::always;
  bool split = true;
};
struct ByteLevel {
  bool add_prefix_space = true;
  bool use_regex = true;
  // The model reads bytes itself, so they need not be written as characters.
  bool leave_bytes = false;
};

using PreTokenizer =
    std::variant<SplitBert, SplitWordsAndSymbols, SplitWhitespace, SplitPunctuation, SplitDigits,
                 SplitPattern, Metaspace, ByteLevel>;

struct Words {
  AlignedText text;
  std::vector<Range> ranges;  // in order, none empty; what lies between them was removed
};

Words pre_tokenize(const std::vector<PreTokenizer>& pre_tokenizers, AlignedText text);

}  // namespace headlight::text
