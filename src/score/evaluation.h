// Every score of a file of lines against the lines that they should be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headlight::score {

// 95 % of the scores of files with as many lines, drawn from these with replacement.
struct Interval {
  double low = 0, high = 0;
};

struct Score {
  std::string name;  // "bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact_match", "f1"
  double value = 0;  // percent
  Interval interval;
};

// In the order of the names above. Lines are UTF-8. Throws Error: bad_input for no lines or
// different numbers of them.
std::vector<Score> evaluate(const std::vector<std::string>& hypotheses,
                            const std::vector<std::string>& references, int64_t replicates = 1000,
                            uint64_t seed = 0);

// Of whole files alone, for training: no intervals.
double corpus_bleu(const std::vector<std::string>& hypotheses,
                   const std::vector<std::string>& references);

}  // namespace headlight::score
