#include "text/known_patterns.h"

#include "text/character_class.h"
#include "text/utf8.h"

namespace headlight::text {
namespace {

enum class Kind { letter, number, space, other, end };

Kind kind_of(char32_t code) {
  if (is_letter(code)) return Kind::letter;
  if (is_numeric(code)) return Kind::number;
  return is_whitespace(code) ? Kind::space : Kind::other;
}

// One pass over one text; every function answers where something that begins at `at` ends.
class Scanner {
 public:
  Scanner(std::string_view text, const KnownPattern& pattern) : text_(text), pattern_(pattern) {}

  size_t piece_end(size_t at) const {
    if (text_[at] == '\'') {
      if (const size_t end = contraction_end(at); end > at) return end;
    }
    return pattern_.gpt2 ? gpt2_end(at) : later_end(at);
  }

 private:
  Kind kind(size_t at, unsigned* bytes = nullptr) const {
    if (at >= text_.size()) return Kind::end;
    const Character c = character_at(text_, at);
    if (bytes != nullptr) *bytes = c.bytes;
    return kind_of(c.code);
  }

  size_t run_end(size_t at, Kind wanted, int at_most = 0) const {
    unsigned bytes = 0;
    for (int count = 0; kind(at, &bytes) == wanted; ++count) {
      if (at_most > 0 && count == at_most) break;
      at += bytes;
    }
    return at;
  }

  size_t contraction_end(size_t at) const {
    const auto letter = [&](size_t i) -> char {
      if (at + i >= text_.size()) return 0;
      const char c = text_[at + i];
      return !pattern_.gpt2 && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    };
    switch (letter(1)) {
      case 's':
      case 't':
      case 'm':
      case 'd':
        return at + 2;
      case 'r':
      case 'v':
        return letter(2) == 'e' ? at + 3 : at;
      case 'l':
        return letter(2) == 'l' ? at + 3 : at;
      default:  // without case, U+017F is an s
        return !pattern_.gpt2 && text_.substr(at + 1).starts_with("\u017F") ? at + 3 : at;
    }
  }

  // \s+(?!\S)|\s+ : the last space goes to the word that follows, unless it is the only one.
  size_t spaces_end(size_t at) const {
    const size_t end = run_end(at, Kind::space);
    if (end == text_.size()) return end;
    const size_t last = end - character_before(text_, end).bytes;
    return last > at ? last : end;
  }

  size_t gpt2_end(size_t at) const {
    const size_t word = at + (text_[at] == ' ');
    const Kind found = kind(word);
    if (found == Kind::space || found == Kind::end) return spaces_end(at);
    return run_end(word, found);
  }

  bool is_newline(size_t at) const {
    return at < text_.size() && (text_[at] == '\r' || text_[at] == '\n');
  }

  size_t later_end(size_t at) const {
    unsigned bytes = 0;
    const Kind first = kind(at, &bytes);
    if (first == Kind::letter) return run_end(at, Kind::letter);
    if (first == Kind::number) return run_end(at, Kind::number, pattern_.digits_at_most);
    if (!is_newline(at) && kind(at + bytes) == Kind::letter)
      return run_end(at + bytes, Kind::letter);
    const size_t symbol = at + (text_[at] == ' ');
    if (kind(symbol) == Kind::other) {
      size_t end = run_end(symbol, Kind::other);
      while (is_newline(end)) ++end;
      return end;
    }
    // All that is left are spaces: up to the last newline among them, if there is one.
    for (size_t end = run_end(at, Kind::space); end > at; --end) {
      if (is_newline(end - 1)) return end;
    }
    return spaces_end(at);
  }

  std::string_view text_;
  const KnownPattern& pattern_;
};

}  // namespace

std::optional<KnownPattern> known_pattern(std::string_view regex) {
  constexpr std::string_view kBegin = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  constexpr std::string_view kEnd = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  if (regex == kGpt2Pattern) return KnownPattern{.gpt2 = true};
  if (!regex.starts_with(kBegin) || !regex.ends_with(kEnd)) return std::nullopt;
  const std::string_view digits =
      regex.substr(kBegin.size(), regex.size() - kBegin.size() - kEnd.size());
  if (digits == R"(\p{N}{1,3})") return KnownPattern{.digits_at_most = 3};
  if (digits == R"(\p{N})") return KnownPattern{.digits_at_most = 1};
  return std::nullopt;
}

std::vector<Range> find_all(std::string_view text, const KnownPattern& pattern) {
  std::vector<Range> found;
  const Scanner scanner(text, pattern);
  for (size_t at = 0; at < text.size();) {
    const size_t end = scanner.piece_end(at);
    found.push_back({at, end});
    at = end;
  }
  return found;
}

}  // namespace headlight::text
