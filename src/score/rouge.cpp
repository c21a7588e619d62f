#include "score/rouge.h"

#include <algorithm>

#include "score/words.h"
#include "text/letter_case.h"

namespace headlight::score {
namespace {

// Letters of other alphabets separate words, as in the package: ROUGE was made for English.
std::vector<std::string> rouge_words(std::string_view line) {
  std::vector<std::string> words;
  bool open = false;
  for (const char c : text::lower_case_text(line)) {
    const bool belongs = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (belongs && !open) words.emplace_back();
    if (belongs) words.back().push_back(c);
    open = belongs;
  }
  return words;
}

double f_measure(int64_t both, int64_t ours, int64_t theirs) {
  if (both == 0) return 0;
  const double precision = static_cast<double>(both) / static_cast<double>(ours);
  const double recall = static_cast<double>(both) / static_cast<double>(theirs);
  return 2 * precision * recall / (precision + recall);
}

int64_t longest_common(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  std::vector<int64_t> before(b.size() + 1), row(b.size() + 1);
  for (const uint32_t word : a) {
    for (size_t j = 0; j < b.size(); ++j)
      row[j + 1] = word == b[j] ? before[j] + 1 : std::max(before[j + 1], row[j]);
    std::swap(before, row);
  }
  return before.back();
}

}  // namespace

Rouge rouge(std::string_view hypothesis, std::string_view reference) {
  WordNumbers numbers;
  const auto ours = numbers.of(rouge_words(hypothesis)),
             theirs = numbers.of(rouge_words(reference));
  const auto of_runs = [&](size_t n) {
    const Overlap runs = overlap(ours, theirs, n);
    return f_measure(runs.both, runs.first, runs.second);
  };
  return {of_runs(1), of_runs(2),
          f_measure(longest_common(ours, theirs), static_cast<int64_t>(ours.size()),
                    static_cast<int64_t>(theirs.size()))};
}

}  // namespace headlight::score
