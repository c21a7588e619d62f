// Text that was changed on its way to the model, and where every byte of it came from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8.h"

namespace headlight::text {

// Characters [begin, end) of the original text, counted in Unicode code points.
struct Span {
  int64_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

// The text as the caller gave it.
struct OriginalText {
  explicit OriginalText(std::string_view whole);
  std::string_view text;
  std::vector<uint32_t> character_of_byte;  // empty for ASCII: there it is the byte itself
};

// A stretch of the original text after normalization. As long as nothing moved, no table is kept.
class AlignedText {
 public:
  // Bytes [begin, end) of the original, which must outlive this.
  AlignedText(const OriginalText& original, size_t begin, size_t end)
      : text(original.text.substr(begin, end - begin)), original_(&original), base_(begin) {
    origin_ = character(begin);
  }

  std::string text;

  // Where the byte came from.
  Span span_of(size_t byte) const {
    if (!spans_.empty()) return {spans_[byte].begin, spans_[byte].end};
    const int64_t at = character(base_ + byte);
    return {at, at + 1};
  }
  // Where bytes [begin, end) came from. An empty range, or one that reaches beyond the text,
  // belongs to what is there.
  Span span_of(size_t begin, size_t end) const;
  // The same stretch, cut to bytes [begin, end).
  AlignedText slice(size_t begin, size_t end) const;
  // Where the stretch begins in the original; an empty range there.
  Span origin() const { return {origin_, origin_}; }

 private:
  friend class AlignedWriter;
  struct ByteSpan {
    uint32_t begin, end;
  };
  int64_t character(size_t byte) const {
    return original_->character_of_byte.empty() ? static_cast<int64_t>(byte)
                                                : original_->character_of_byte[byte];
  }

  const OriginalText* original_;
  size_t base_;
  int64_t origin_ = 0;
  std::vector<ByteSpan> spans_;  // empty: as in the original
};

// Builds the next version of a text, character by character.
class AlignedWriter {
 public:
  explicit AlignedWriter(const AlignedText& from);
  void put(char32_t code, Span from);
  void put(std::string_view bytes, Span from);
  size_t size() const { return text_.size(); }
  // Replaces the text by what was written.
  void finish(AlignedText& target) &&;

 private:
  std::string text_;
  std::vector<AlignedText::ByteSpan> spans_;
};

// Calls change(code, span, writer) for every character; what it writes becomes the text.
template <typename Change>
void rewrite(AlignedText& text, Change change) {
  AlignedWriter writer(text);
  for (size_t at = 0; at < text.text.size();) {
    const Character c = character_at(text.text, at);
    change(c.code, text.span_of(at), writer);
    at += c.bytes;
  }
  std::move(writer).finish(text);
}

// A character of a new version: change 0 stands for the next character of the old one, 1 was
// added after it, -n also swallows the n that follow.
struct ChangedCharacter {
  char32_t code = 0;
  int change = 0;
};
// Replaces the whole text.
void replace_characters(AlignedText& text, const std::vector<ChangedCharacter>& characters);

}  // namespace headlight::text
