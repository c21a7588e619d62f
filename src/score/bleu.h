// BLEU (Papineni et al. 2002) of whole files, as sacrebleu computes it by default: words of the
// 13a tokenizer, n-grams up to 4, exponential smoothing, case kept, one reference.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace headlight::score {

// What lines add up to.
struct BleuCounts {
  int64_t hypothesis_words = 0, reference_words = 0;
  std::array<int64_t, 4> matches{}, runs{};  // by length of the n-gram, from 1

  BleuCounts& operator+=(const BleuCounts& other);
};

// Of one line; UTF-8.
BleuCounts bleu_counts(std::string_view hypothesis, std::string_view reference);

struct Bleu {
  double score = 0;  // percent
  double brevity_penalty = 0;
  std::array<double, 4> precisions{};  // percent, smoothed
};
Bleu bleu(const BleuCounts& counts);

// Words with one space between them: what mteval-v13a makes of a line.
std::string tokenized_13a(std::string_view line);

// sacrebleu's name for what was computed; a score without it says little (Post 2018).
inline constexpr const char* kBleuSignature =
    "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0";

}  // namespace headlight::score
