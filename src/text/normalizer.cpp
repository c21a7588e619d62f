#include "text/normalizer.h"

#include <algorithm>

#include "text/character_class.h"

namespace headlight::text {
namespace {

void put_lower(char32_t code, Span span, AlignedWriter& out) {
  if (code == 0x130) {  // the only one whose lower case is two characters
    out.put(U'i', span);
    out.put(0x307, span);
  } else {
    out.put(lower_case(code), span);
  }
}

void put_clean(char32_t code, Span span, AlignedWriter& out) {
  if (code == 0 || code == 0xFFFD || is_bert_control(code)) return;
  out.put(is_whitespace(code) ? U' ' : code, span);
}

// ASCII without controls keeps its places: changed where it stands.
bool clean_ascii_in_place(const BertNormalizer& bert, std::string& text) {
  if (std::any_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x7F ||
               (c < ' ' && c != '\t' && c != '\n' && c != '\r');
      }))
    return false;
  for (char& c : text) {
    if (bert.clean_text && c < ' ') c = ' ';
    if (bert.lower_case && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return true;
}

void apply(const BertNormalizer& bert, AlignedText& text) {
  if (clean_ascii_in_place(bert, text.text)) return;
  if (bert.clean_text || bert.space_cjk) {
    rewrite(text, [&](char32_t code, Span span, AlignedWriter& out) {
      const bool spaced = bert.space_cjk && is_cjk_ideograph(code);
      if (spaced) out.put(U' ', span);
      if (bert.clean_text)
        put_clean(code, span, out);
      else
        out.put(code, span);
      if (spaced) out.put(U' ', span);
    });
  }
  if (bert.strip_accents) {
    to_normal_form(NormalForm::nfd, text);
    if (!bert.lower_case) {
      rewrite(text, [](char32_t code, Span span, AlignedWriter& out) {
        if (!is_nonspacing_mark(code)) out.put(code, span);
      });
    }
  }
  if (bert.lower_case) {
    rewrite(text, [&](char32_t code, Span span, AlignedWriter& out) {
      if (!bert.strip_accents || !is_nonspacing_mark(code)) put_lower(code, span, out);
    });
  }
}

void apply(NormalForm form, AlignedText& text) { to_normal_form(form, text); }

void apply(const LowerCase&, AlignedText& text) {
  if (is_ascii(text.text)) {
    for (char& c : text.text) c = static_cast<char>(lower_case(static_cast<unsigned char>(c)));
  } else {
    rewrite(text, put_lower);
  }
}

void apply(const StripAccents&, AlignedText& text) {
  if (is_ascii(text.text)) return;
  rewrite(text, [](char32_t code, Span span, AlignedWriter& out) {
    if (!is_combining_mark(code)) out.put(code, span);
  });
}

void apply(const StripSpaces& strip, AlignedText& text) {
  size_t begin = 0, end = text.text.size();
  while (strip.left && begin < end) {
    const Character c = character_at(text.text, begin);
    if (!is_whitespace(c.code)) break;
    begin += c.bytes;
  }
  while (strip.right && begin < end) {
    const Character c = character_before(text.text, end);
    if (!is_whitespace(c.code)) break;
    end -= c.bytes;
  }
  if (end - begin < text.text.size()) text = text.slice(begin, end);
}

void apply(const ReplaceText& change, AlignedText& text) {
  const std::string* plain = std::get_if<std::string>(&change.pattern);
  replace(text,
          plain != nullptr ? find_all(text.text, *plain)
                           : std::get<Regex>(change.pattern).find_all(text.text),
          change.content);
}

void apply(const PrependText& change, AlignedText& text) { prepend(text, change.prefix); }

void apply(const NmtNormalizer&, AlignedText& text) {
  const auto is_out = [](char32_t c) {
    return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
           c == 0x9F;
  };
  const auto is_space = [](char32_t c) {
    return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xFEFF || c == 0xFFFD;
  };
  if (std::none_of(text.text.begin(), text.text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < ' ' || byte >= 0x7F;
      }))
    return;
  rewrite(text, [&](char32_t code, Span span, AlignedWriter& out) {
    if (!is_out(code)) out.put(is_space(code) ? U' ' : code, span);
  });
}

void apply(const PrecompiledCharsmap& map, AlignedText& text) { apply_charsmap(map, text); }

}  // namespace

void replace(AlignedText& text, const std::vector<Range>& matches, std::string_view content) {
  if (matches.empty()) return;
  AlignedWriter out(text);
  size_t at = 0;
  const auto keep_until = [&](size_t end) {
    while (at < end) {
      const Character c = character_at(text.text, at);
      out.put(std::string_view(text.text).substr(at, c.bytes), text.span_of(at));
      at += c.bytes;
    }
  };
  for (const Range& match : matches) {
    keep_until(match.begin);
    // New characters belong to the last one that was replaced, or to the one before the place.
    out.put(content, match.end > 0 ? text.span_of(match.end - 1) : text.origin());
    at = match.end;
  }
  keep_until(text.text.size());
  std::move(out).finish(text);
}

void prepend(AlignedText& text, std::string_view prefix) {
  if (text.text.empty()) return;
  AlignedWriter out(text);
  out.put(prefix, text.span_of(0));
  for (size_t at = 0; at < text.text.size();) {
    const Character c = character_at(text.text, at);
    out.put(std::string_view(text.text).substr(at, c.bytes), text.span_of(at));
    at += c.bytes;
  }
  std::move(out).finish(text);
}

void normalize(const std::vector<Normalizer>& normalizers, AlignedText& text) {
  for (const Normalizer& normalizer : normalizers)
    std::visit([&](const auto& change) { apply(change, text); }, normalizer);
}

}  // namespace headlight::text
