#include "text/normal_form.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>

#include "headlight/error.h"
#include "text/character_class.h"

namespace headlight::text {
namespace {

const icu::Normalizer2& tables(bool compatibility) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = compatibility ? icu::Normalizer2::getNFKCInstance(status)
                                                : icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) throw Error(ErrorKind::no_resources, "ICU has no normalization data");
  return *found;
}

struct RankedCharacter {
  ChangedCharacter character;
  int combining_class;
};

int combining_class(char32_t code) {
  if (code < 0x300 || !is_known_to_normal_forms(code)) return 0;
  return u_getCombiningClass(static_cast<UChar32>(code));
}

// Every character in its parts, marks in canonical order.
std::vector<RankedCharacter> decompose(std::string_view text, const icu::Normalizer2& form) {
  std::vector<RankedCharacter> parts;
  parts.reserve(text.size());
  icu::UnicodeString mapping;
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    at += c.bytes;
    if (c.code < 0xA0 || !is_known_to_normal_forms(c.code) ||
        !form.getDecomposition(static_cast<UChar32>(c.code), mapping)) {
      parts.push_back({{c.code, 0}, combining_class(c.code)});
      continue;
    }
    for (int i = 0; i < mapping.length();) {
      const UChar32 code = mapping.char32At(i);
      const auto part = static_cast<char32_t>(code);
      parts.push_back({{part, i > 0}, combining_class(part)});
      i += U16_LENGTH(code);
    }
  }
  for (auto at = parts.begin(); at != parts.end();) {
    at = std::find_if(at, parts.end(),
                      [](const RankedCharacter& p) { return p.combining_class != 0; });
    const auto end = std::find_if(at, parts.end(),
                                  [](const RankedCharacter& p) { return p.combining_class == 0; });
    std::stable_sort(at, end, [](const RankedCharacter& a, const RankedCharacter& b) {
      return a.combining_class < b.combining_class;
    });
    at = end;
  }
  return parts;
}

// The canonical composition of UAX 15, in place.
void compose(std::vector<RankedCharacter>& parts, const icu::Normalizer2& form) {
  size_t kept = 0;
  ptrdiff_t starter = -1;
  int last = 0;  // highest class between the starter and here; 0: none
  for (const RankedCharacter& part : parts) {
    if (starter >= 0 && (last == 0 || last < part.combining_class)) {
      ChangedCharacter& first = parts[static_cast<size_t>(starter)].character;
      const UChar32 both = form.composePair(static_cast<UChar32>(first.code),
                                            static_cast<UChar32>(part.character.code));
      if (both >= 0 && is_known_to_normal_forms(static_cast<char32_t>(both))) {
        first = {static_cast<char32_t>(both), first.change + part.character.change - 1};
        continue;
      }
    }
    if (part.combining_class == 0) {
      starter = static_cast<ptrdiff_t>(kept);
      last = 0;
    } else if (starter >= 0) {
      last = part.combining_class;
    }
    parts[kept++] = part;
  }
  parts.resize(kept);
}

}  // namespace

void to_normal_form(NormalForm form, AlignedText& text) {
  if (is_ascii(text.text)) return;
  const bool compatibility = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const icu::Normalizer2& form_tables = tables(compatibility);
  std::vector<RankedCharacter> parts = decompose(text.text, form_tables);
  if (form == NormalForm::nfc || form == NormalForm::nfkc) compose(parts, form_tables);
  std::vector<ChangedCharacter> characters;
  characters.reserve(parts.size());
  for (const RankedCharacter& part : parts) characters.push_back(part.character);
  replace_characters(text, characters);
}

}  // namespace headlight::text
