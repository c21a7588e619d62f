// chrF (Popović 2015) of whole files, as sacrebleu computes it by default: n-grams of 1 to 6
// characters without white space, recall counts four times (beta 2), one reference.
#pragma once

#include <array>
#include <string_view>

#include "score/words.h"

namespace headlight::score {

// By length of the n-gram, from 1; lines add up.
struct ChrfCounts {
  std::array<Overlap, 6> runs{};

  ChrfCounts& operator+=(const ChrfCounts& other);
};

// Of one line; UTF-8.
ChrfCounts chrf_counts(std::string_view hypothesis, std::string_view reference);
// Percent.
double chrf(const ChrfCounts& counts);

inline constexpr const char* kChrfSignature =
    "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0";

}  // namespace headlight::score
