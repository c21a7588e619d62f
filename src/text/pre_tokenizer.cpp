#include "text/pre_tokenizer.h"

#include <algorithm>

#include "text/byte_characters.h"
#include "text/character_class.h"
#include "text/normalizer.h"

namespace headlight::text {
namespace {

struct Stretch {
  Range range;
  bool separator;
};

// Appends [begin, end) if it is not empty.
void put(Range range, std::vector<Range>& out) {
  if (range.begin < range.end) out.push_back(range);
}

// Joins separators to the part before them, or in reverse order to the part after them; of several
// in a row only the nearest.
template <typename Iterator>
std::vector<Range> merged(const Iterator& begin, const Iterator& end) {
  std::vector<Range> out;
  bool before = false;  // whether the last part was a separator
  for (Iterator part = begin; part != end; ++part) {
    if (part->separator && !before && !out.empty())
      out.back() = {std::min(out.back().begin, part->range.begin),
                    std::max(out.back().end, part->range.end)};
    else
      out.push_back(part->range);
    before = part->separator;
  }
  return out;
}

std::vector<Range> contiguous(const std::vector<Stretch>& parts) {
  std::vector<Range> out;
  bool before = false;
  for (const Stretch& part : parts) {
    if (part.separator == before && !out.empty())
      out.back().end = part.range.end;
    else
      out.push_back(part.range);
    before = part.separator;
  }
  return out;
}

// Cuts one word. `matches` are the separators; with `invert` what lies between them is.
void cut(Range word, const std::vector<Range>& matches, SplitBehavior behavior, bool invert,
         std::vector<Range>& out) {
  std::vector<Stretch> parts;
  parts.reserve(2 * matches.size() + 1);
  size_t at = word.begin;
  for (const Range& match : matches) {
    if (match.begin > at) parts.push_back({{at, match.begin}, invert});
    parts.push_back({match, !invert});
    at = match.end;
  }
  if (at < word.end) parts.push_back({{at, word.end}, invert});
  std::vector<Range> joined;
  switch (behavior) {
    case SplitBehavior::removed:
      for (const Stretch& part : parts)
        if (!part.separator) joined.push_back(part.range);
      break;
    case SplitBehavior::isolated:
      for (const Stretch& part : parts) joined.push_back(part.range);
      break;
    case SplitBehavior::contiguous:
      joined = contiguous(parts);
      break;
    case SplitBehavior::merged_with_previous:
      joined = merged(parts.begin(), parts.end());
      break;
    case SplitBehavior::merged_with_next:
      joined = merged(parts.rbegin(), parts.rend());
      std::reverse(joined.begin(), joined.end());
      break;
  }
  for (const Range& range : joined) put(range, out);
}

// Every word of `words` cut at what find(its text) gives.
template <typename Find>
void cut_words(Words& words, Find find, SplitBehavior behavior, bool invert = false) {
  std::vector<Range> out;
  out.reserve(words.ranges.size() * 2);
  for (const Range& word : words.ranges) {
    std::vector<Range> matches =
        find(std::string_view(words.text.text).substr(word.begin, word.end - word.begin));
    for (Range& match : matches) match = {match.begin + word.begin, match.end + word.begin};
    cut(word, matches, behavior, invert, out);
  }
  words.ranges = std::move(out);
}

// Every character that `is` holds for, by itself.
template <typename Is>
std::vector<Range> characters_that(Is is, std::string_view text) {
  std::vector<Range> found;
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (is(c.code)) found.push_back({at, at + c.bytes});
    at += c.bytes;
  }
  return found;
}

// Runs of characters of the same kind; kind 0 is left out, kind -1 stands alone.
template <typename KindOf>
void keep_runs(Words& words, KindOf kind_of) {
  std::vector<Range> out;
  out.reserve(words.text.text.size() / 4);
  for (const Range& word : words.ranges) {
    int before = 0;
    for (size_t at = word.begin; at < word.end;) {
      const Character c = character_at(words.text.text, at);
      const int kind = kind_of(c.code);
      if (kind != 0) {
        if (kind > 0 && kind == before)
          out.back().end = at + c.bytes;
        else
          out.push_back({at, at + c.bytes});
      }
      before = kind;
      at += c.bytes;
    }
  }
  words.ranges = std::move(out);
}

void apply(const SplitBert&, Words& words) {
  keep_runs(words, [](char32_t code) {
    return is_whitespace(code) ? 0 : is_punctuation(code) ? -1 : 1;
  });
}

void apply(const SplitWhitespace&, Words& words) {
  keep_runs(words, [](char32_t code) { return is_whitespace(code) ? 0 : 1; });
}

void apply(const SplitWordsAndSymbols&, Words& words) {
  keep_runs(words, [](char32_t code) {
    return is_word_character(code) ? 1 : is_whitespace(code) ? 0 : 2;
  });
}

void apply(const SplitPunctuation& split, Words& words) {
  cut_words(
      words, [](std::string_view text) { return characters_that(is_punctuation, text); },
      split.behavior);
}

void apply(const SplitDigits& split, Words& words) {
  cut_words(
      words, [](std::string_view text) { return characters_that(is_numeric, text); },
      split.individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
}

void apply(const SplitPattern& split, Words& words) {
  cut_words(
      words,
      [&](std::string_view text) {
        if (const auto* plain = std::get_if<std::string>(&split.pattern))
          return find_all(text, *plain);
        if (const auto* known = std::get_if<KnownPattern>(&split.pattern))
          return find_all(text, *known);
        return std::get<Regex>(split.pattern).find_all(text);
      },
      split.behavior, split.invert);
}

// Rebuilds the text word by word: put(word, writer) writes what becomes of it.
template <typename Put>
void rewrite_words(Words& words, Put put) {
  AlignedWriter out(words.text);
  for (Range& word : words.ranges) {
    const size_t begin = out.size();
    put(word, out);
    word = {begin, out.size()};
  }
  std::move(out).finish(words.text);
}

void copy(const AlignedText& text, Range range, AlignedWriter& out) {
  for (size_t at = range.begin; at < range.end;) {
    const Character c = character_at(text.text, at);
    out.put(std::string_view(text.text).substr(at, c.bytes), text.span_of(at));
    at += c.bytes;
  }
}

void apply(const Metaspace& space, Words& words) {
  const std::string& text = words.text.text;
  rewrite_words(words, [&](Range word, AlignedWriter& out) {
    const std::string_view all = std::string_view(text).substr(word.begin, word.end - word.begin);
    const bool wanted =
        space.prepend == PrependScheme::always ||
        (space.prepend == PrependScheme::first && words.text.span_of(word.begin).begin == 0);
    if (wanted && !all.starts_with(' ') && !all.starts_with(space.replacement))
      out.put(space.replacement, words.text.span_of(word.begin));
    for (size_t at = word.begin; at < word.end;) {
      const Character c = character_at(text, at);
      if (c.code == ' ')
        out.put(space.replacement, words.text.span_of(at));
      else
        out.put(std::string_view(text).substr(at, c.bytes), words.text.span_of(at));
      at += c.bytes;
    }
  });
  if (!space.split) return;
  cut_words(
      words, [&](std::string_view word) { return find_all(word, space.replacement); },
      SplitBehavior::merged_with_next);
}

void apply(const ByteLevel& level, Words& words) {
  if (level.add_prefix_space) {
    const std::string& text = words.text.text;
    bool all_begin_so = true;
    for (const Range& word : words.ranges) all_begin_so = all_begin_so && text[word.begin] == ' ';
    if (!all_begin_so) {
      rewrite_words(words, [&](Range word, AlignedWriter& out) {
        if (text[word.begin] != ' ') out.put(U' ', words.text.span_of(word.begin));
        copy(words.text, word, out);
      });
    }
  }
  if (level.use_regex) {
    const KnownPattern gpt2{.gpt2 = true};
    cut_words(
        words, [&](std::string_view word) { return find_all(word, gpt2); },
        SplitBehavior::isolated);
  }
  if (level.leave_bytes) return;
  rewrite_words(words, [&](Range word, AlignedWriter& out) {
    for (size_t at = word.begin; at < word.end; ++at) {
      const auto byte = static_cast<unsigned char>(words.text.text[at]);
      out.put(byte_characters()[byte], words.text.span_of(at));
    }
  });
}

}  // namespace

Words pre_tokenize(const std::vector<PreTokenizer>& pre_tokenizers, AlignedText text) {
  const size_t size = text.text.size();
  Words words{std::move(text), {}};
  if (size > 0) words.ranges.push_back({0, size});
  for (const PreTokenizer& pre_tokenizer : pre_tokenizers)
    std::visit([&](const auto& step) { apply(step, words); }, pre_tokenizer);
  return words;
}

}  // namespace headlight::text
