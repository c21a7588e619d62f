#include "score/chrf.h"

namespace headlight::score {

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  for (size_t n = 0; n < runs.size(); ++n) {
    runs[n].first += other.runs[n].first;
    runs[n].second += other.runs[n].second;
    runs[n].both += other.runs[n].both;
  }
  return *this;
}

ChrfCounts chrf_counts(std::string_view hypothesis, std::string_view reference) {
  const auto ours = characters_of(hypothesis), theirs = characters_of(reference);
  ChrfCounts counts;
  for (size_t n = 0; n < counts.runs.size(); ++n) {
    counts.runs[n] = overlap(ours, theirs, n + 1);
    // What a reference without such an n-gram cannot confirm is not held against a line.
    if (counts.runs[n].second == 0) counts.runs[n].first = 0;
  }
  return counts;
}

double chrf(const ChrfCounts& counts) {
  constexpr double kRecallWeight = 4;  // beta squared
  double precision = 0, recall = 0;
  int lengths = 0;
  for (const Overlap& runs : counts.runs) {
    if (runs.first == 0 || runs.second == 0) continue;
    precision += static_cast<double>(runs.both) / static_cast<double>(runs.first);
    recall += static_cast<double>(runs.both) / static_cast<double>(runs.second);
    ++lengths;
  }
  if (precision + recall == 0) return 0;
  precision /= lengths;
  recall /= lengths;
  return 100 * (1 + kRecallWeight) * precision * recall / (kRecallWeight * precision + recall);
}

}  // namespace headlight::score
