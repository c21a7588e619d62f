#include "text/aligned_text.h"

#include <algorithm>

namespace headlight::text {

OriginalText::OriginalText(std::string_view whole) : text(whole) {
  if (is_ascii(whole)) return;
  character_of_byte.resize(whole.size() + 1);
  uint32_t character = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    character += i > 0 && (static_cast<unsigned char>(whole[i]) & 0xC0) != 0x80;
    character_of_byte[i] = character;
  }
  character_of_byte[whole.size()] = character + 1;
}

Span AlignedText::span_of(size_t begin, size_t end) const {
  end = std::min(end, text.size());
  begin = std::min(begin, end);
  if (begin < end) return {span_of(begin).begin, span_of(end - 1).end};
  if (begin < text.size()) return {span_of(begin).begin, span_of(begin).begin};
  if (begin > 0) return {span_of(begin - 1).end, span_of(begin - 1).end};
  return origin();
}

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  const size_t base = base_ + (spans_.empty() ? begin : 0);
  AlignedText part(*original_, base, base);
  part.text = text.substr(begin, end - begin);
  part.origin_ = span_of(begin, end).begin;
  if (!spans_.empty())
    part.spans_.assign(spans_.begin() + static_cast<ptrdiff_t>(begin),
                       spans_.begin() + static_cast<ptrdiff_t>(end));
  return part;
}

AlignedWriter::AlignedWriter(const AlignedText& from) {
  text_.reserve(from.text.size() + from.text.size() / 4);
  spans_.reserve(text_.capacity());
}

void AlignedWriter::put(char32_t code, Span from) {
  append_utf8(text_, code);
  spans_.resize(text_.size(), {static_cast<uint32_t>(from.begin), static_cast<uint32_t>(from.end)});
}

void AlignedWriter::put(std::string_view bytes, Span from) {
  text_ += bytes;
  spans_.resize(text_.size(), {static_cast<uint32_t>(from.begin), static_cast<uint32_t>(from.end)});
}

void AlignedWriter::finish(AlignedText& target) && {
  target.text = std::move(text_);
  target.spans_ = std::move(spans_);
}

void replace_characters(AlignedText& text, const std::vector<ChangedCharacter>& characters) {
  AlignedWriter writer(text);
  size_t at = 0;
  const auto skip = [&] {
    if (at < text.text.size()) at += character_at(text.text, at).bytes;
  };
  for (const ChangedCharacter& c : characters) {
    if (c.change > 0 || at >= text.text.size()) {
      writer.put(c.code, at == 0 ? text.origin() : text.span_of(at - 1));
      continue;
    }
    writer.put(c.code, text.span_of(at));
    for (int i = 0; i <= -c.change; ++i) skip();
  }
  std::move(writer).finish(text);
}

}  // namespace headlight::text
