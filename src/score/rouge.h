// ROUGE (Lin 2004) as the Python package rouge-score computes it with its default tokenizer: lower
// case, words of a to z and 0 to 9, no stemmer.
#pragma once

#include <string_view>

namespace headlight::score {

// F-measures from 0 to 1: of words, of pairs of words, and of the longest common subsequence.
struct Rouge {
  double one = 0, two = 0, longest = 0;
};

// Of one line; UTF-8. A file's score is the mean over its lines.
Rouge rouge(std::string_view hypothesis, std::string_view reference);

}  // namespace headlight::score
