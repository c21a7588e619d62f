#include "score/words.h"

#include <algorithm>

#include "text/character_class.h"
#include "text/utf8.h"

namespace headlight::score {
namespace {

bool is_space(char32_t code) { return text::is_whitespace(code) || (code >= 0x1C && code <= 0x1F); }

// Where runs of n begin, equal runs beside each other.
std::vector<const uint32_t*> sorted_runs(std::span<const uint32_t> line, size_t n) {
  std::vector<const uint32_t*> runs;
  for (size_t i = 0; i + n <= line.size(); ++i) runs.push_back(line.data() + i);
  std::sort(runs.begin(), runs.end(), [n](const uint32_t* a, const uint32_t* b) {
    return std::lexicographical_compare(a, a + n, b, b + n);
  });
  return runs;
}

template <typename Word>
std::vector<uint32_t> numbered(std::unordered_map<std::string, uint32_t>& numbers,
                               std::span<const Word> words) {
  std::vector<uint32_t> line;
  line.reserve(words.size());
  for (const Word& word : words)
    line.push_back(numbers.emplace(word, static_cast<uint32_t>(numbers.size())).first->second);
  return line;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  size_t begin = std::string_view::npos;  // of the word that is open
  for (size_t at = 0; at < line.size();) {
    const text::Character character = text::character_at(line, at);
    if (is_space(character.code)) {
      if (begin != std::string_view::npos) words.push_back(line.substr(begin, at - begin));
      begin = std::string_view::npos;
    } else if (begin == std::string_view::npos) {
      begin = at;
    }
    at += character.bytes;
  }
  if (begin != std::string_view::npos) words.push_back(line.substr(begin));
  return words;
}

std::vector<uint32_t> characters_of(std::string_view line) {
  std::vector<uint32_t> characters;
  for (size_t at = 0; at < line.size();) {
    const text::Character character = text::character_at(line, at);
    if (!is_space(character.code)) characters.push_back(character.code);
    at += character.bytes;
  }
  return characters;
}

std::vector<uint32_t> WordNumbers::of(std::span<const std::string> words) {
  return numbered(numbers_, words);
}
std::vector<uint32_t> WordNumbers::of(std::span<const std::string_view> words) {
  return numbered(numbers_, words);
}

Overlap overlap(std::span<const uint32_t> first, std::span<const uint32_t> second, size_t n) {
  const auto a = sorted_runs(first, n), b = sorted_runs(second, n);
  Overlap result{static_cast<int64_t>(a.size()), static_cast<int64_t>(b.size()), 0};
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    const auto order = std::lexicographical_compare_three_way(*i, *i + n, *j, *j + n);
    result.both += order == 0;
    i += order <= 0;
    j += order >= 0;
  }
  return result;
}

}  // namespace headlight::score
