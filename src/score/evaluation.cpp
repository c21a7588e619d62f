#include "score/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>

#include "headlight/error.h"
#include "score/answer.h"
#include "score/bleu.h"
#include "score/chrf.h"
#include "score/rouge.h"

namespace headlight::score {
namespace {

constexpr std::array kNames = {"bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact_match", "f1"};
using Values = std::array<double, kNames.size()>;

// What one line adds to the scores.
struct Line {
  BleuCounts bleu;
  ChrfCounts chrf;
  Rouge rouge;
  Answer answer;
};

void check(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references) {
  if (hypotheses.size() != references.size())
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{} lines to judge, but {} lines to judge them by; they must be parallel",
                    hypotheses.size(), references.size()));
  if (hypotheses.empty()) throw Error(ErrorKind::bad_input, "there are no lines to judge");
}

// `line_at(i)` for i from 0 to lines - 1.
template <typename LineAt>
Values scores_of(size_t lines, LineAt line_at) {
  BleuCounts words;
  ChrfCounts characters;
  Values sums{};
  for (size_t i = 0; i < lines; ++i) {
    const Line& line = line_at(i);
    words += line.bleu;
    characters += line.chrf;
    sums[2] += line.rouge.one;
    sums[3] += line.rouge.two;
    sums[4] += line.rouge.longest;
    sums[5] += line.answer.exact ? 1 : 0;
    sums[6] += line.answer.f1;
  }
  for (double& sum : sums) sum *= 100 / static_cast<double>(lines);
  sums[0] = bleu(words).score;
  sums[1] = chrf(characters);
  return sums;
}

}  // namespace

std::vector<Score> evaluate(const std::vector<std::string>& hypotheses,
                            const std::vector<std::string>& references, int64_t replicates,
                            uint64_t seed) {
  check(hypotheses, references);
  std::vector<Line> lines;
  lines.reserve(hypotheses.size());
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    const std::string &ours = hypotheses[i], &theirs = references[i];
    lines.push_back({bleu_counts(ours, theirs), chrf_counts(ours, theirs), rouge(ours, theirs),
                     compare_answers(ours, theirs)});
  }
  const Values values = scores_of(lines.size(), [&](size_t i) -> const Line& { return lines[i]; });

  std::mt19937_64 random(seed);
  std::array<std::vector<double>, kNames.size()> drawn;
  for (int64_t replicate = 0; replicate < replicates; ++replicate) {
    const Values again = scores_of(
        lines.size(), [&](size_t) -> const Line& { return lines[random() % lines.size()]; });
    for (size_t s = 0; s < again.size(); ++s) drawn[s].push_back(again[s]);
  }

  std::vector<Score> scores;
  for (size_t s = 0; s < values.size(); ++s) {
    Score& score = scores.emplace_back(Score{kNames[s], values[s], {values[s], values[s]}});
    std::sort(drawn[s].begin(), drawn[s].end());
    if (const size_t outside = drawn[s].size() / 40; !drawn[s].empty())
      score.interval = {drawn[s][outside], drawn[s][drawn[s].size() - 1 - outside]};
  }
  return scores;
}

double corpus_bleu(const std::vector<std::string>& hypotheses,
                   const std::vector<std::string>& references) {
  check(hypotheses, references);
  BleuCounts counts;
  for (size_t i = 0; i < hypotheses.size(); ++i)
    counts += bleu_counts(hypotheses[i], references[i]);
  return bleu(counts).score;
}

}  // namespace headlight::score
