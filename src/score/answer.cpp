#include "score/answer.h"

#include "score/words.h"
#include "text/character_class.h"
#include "text/letter_case.h"
#include "text/utf8.h"

namespace headlight::score {
namespace {

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool is_word_character(char32_t code) { return text::is_letter(code) || text::is_numeric(code); }

bool is_article(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

// Articles between characters that are in no word, which may be others than spaces.
std::string without_articles(const std::string& line) {
  std::string out, word;
  const auto close_word = [&] {
    out += is_article(word) ? " " : word;
    word.clear();
  };
  for (size_t at = 0; at < line.size();) {
    const text::Character character = text::character_at(line, at);
    const std::string_view bytes(line.data() + at, character.bytes);
    if (is_word_character(character.code)) {
      word += bytes;
    } else {
      close_word();
      out += bytes;
    }
    at += character.bytes;
  }
  close_word();
  return out;
}

}  // namespace

std::string normalised_answer(std::string_view answer) {
  std::string line = text::lower_case_text(answer);
  std::erase_if(line, is_ascii_punctuation);
  line = without_articles(line);
  std::string joined;
  for (const std::string_view word : words_of(line)) {
    if (!joined.empty()) joined.push_back(' ');
    joined.append(word);
  }
  return joined;
}

Answer compare_answers(std::string_view hypothesis, std::string_view reference) {
  const std::string ours = normalised_answer(hypothesis), theirs = normalised_answer(reference);
  Answer answer{.exact = ours == theirs, .f1 = 0};
  WordNumbers numbers;
  const Overlap words = overlap(numbers.of(words_of(ours)), numbers.of(words_of(theirs)), 1);
  if (words.first == 0 || words.second == 0) {
    answer.f1 = answer.exact ? 1 : 0;
  } else if (words.both > 0) {
    const double precision = static_cast<double>(words.both) / static_cast<double>(words.first);
    const double recall = static_cast<double>(words.both) / static_cast<double>(words.second);
    answer.f1 = 2 * precision * recall / (precision + recall);
  }
  return answer;
}

}  // namespace headlight::score
