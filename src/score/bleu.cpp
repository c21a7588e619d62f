#include "score/bleu.h"

#include <algorithm>
#include <cmath>

#include "score/words.h"

namespace headlight::score {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }

// ASCII symbols that always stand alone: all but ' - . , and the digits and letters.
bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
}

void replace_all(std::string& line, std::string_view old, std::string_view with) {
  for (size_t at = 0; (at = line.find(old, at)) != std::string::npos; at += with.size())
    line.replace(at, old.size(), with);
}

std::string spaced_symbols(const std::string& line) {
  std::string out;
  for (const char c : line) {
    if (stands_alone(c)) {
      out.append({' ', c, ' '});
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Every pair of neighbours that `is_pair` holds for, left to right without overlap, is written with
// spaces around (before, between, behind) it. A character of several bytes is in no condition but
// "not a digit", so bytes do as well.
template <typename IsPair>
std::string spaced_pairs(const std::string& line, IsPair is_pair, std::string_view before,
                         std::string_view behind) {
  std::string out;
  size_t at = 0;
  while (at < line.size()) {
    if (at + 1 < line.size() && is_pair(line[at], line[at + 1])) {
      out.append(before).append({line[at], ' ', line[at + 1]}).append(behind);
      at += 2;
    } else {
      out.push_back(line[at++]);
    }
  }
  return out;
}

}  // namespace

std::string tokenized_13a(std::string_view text) {
  std::string line(text);
  replace_all(line, "<skipped>", "");
  replace_all(line, "&quot;", "\"");
  replace_all(line, "&amp;", "&");
  replace_all(line, "&lt;", "<");
  replace_all(line, "&gt;", ">");
  line = spaced_symbols(" " + line + " ");
  // Points and commas leave words, but stay within numbers; a dash leaves the number before it.
  line = spaced_pairs(
      line, [](char a, char b) { return !is_digit(a) && is_point(b); }, "", " ");
  line = spaced_pairs(
      line, [](char a, char b) { return is_point(a) && !is_digit(b); }, " ", "");
  line = spaced_pairs(
      line, [](char a, char b) { return is_digit(a) && b == '-'; }, "", " ");
  std::string joined;
  for (const std::string_view word : words_of(line)) {
    if (!joined.empty()) joined.push_back(' ');
    joined.append(word);
  }
  return joined;
}

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  hypothesis_words += other.hypothesis_words;
  reference_words += other.reference_words;
  for (size_t n = 0; n < matches.size(); ++n) {
    matches[n] += other.matches[n];
    runs[n] += other.runs[n];
  }
  return *this;
}

BleuCounts bleu_counts(std::string_view hypothesis, std::string_view reference) {
  WordNumbers numbers;
  const std::string tokens = tokenized_13a(hypothesis), right = tokenized_13a(reference);
  const auto ours = numbers.of(words_of(tokens)), theirs = numbers.of(words_of(right));
  BleuCounts counts;
  counts.hypothesis_words = static_cast<int64_t>(ours.size());
  counts.reference_words = static_cast<int64_t>(theirs.size());
  for (size_t n = 0; n < counts.matches.size(); ++n) {
    const Overlap shared = overlap(ours, theirs, n + 1);
    counts.matches[n] = shared.both;
    counts.runs[n] = shared.first;
  }
  return counts;
}

Bleu bleu(const BleuCounts& counts) {
  const auto words = static_cast<double>(counts.hypothesis_words);
  const auto wanted = static_cast<double>(counts.reference_words);
  Bleu result;
  result.brevity_penalty = words >= wanted ? 1 : words > 0 ? std::exp(1 - wanted / words) : 0;
  if (std::ranges::all_of(counts.matches, [](int64_t n) { return n == 0; })) return result;
  double smoothing = 1, logarithms = 0;
  for (size_t n = 0; n < counts.matches.size(); ++n) {
    const auto runs = static_cast<double>(counts.runs[n]);
    if (counts.runs[n] == 0) return result;  // lines too short for such an n-gram: no score
    if (counts.matches[n] == 0) {
      smoothing *= 2;
      result.precisions[n] = 100 / (smoothing * runs);
    } else {
      result.precisions[n] = 100 * static_cast<double>(counts.matches[n]) / runs;
    }
    logarithms += std::log(result.precisions[n]);
  }
  result.score = result.brevity_penalty * std::exp(logarithms / 4);
  return result;
}

}  // namespace headlight::score
