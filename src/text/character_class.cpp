#include "text/character_class.h"

#include <unicode/uchar.h>

#include "text/newer_characters.h"

namespace headlight::text {
namespace {

int category(char32_t code) { return u_charType(static_cast<UChar32>(code)); }

bool known_in_version(char32_t code, int major) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(code), age);
  return age[0] > 0 && age[0] <= major;
}

bool is_in(int category, uint32_t mask) { return (mask >> category & 1) != 0; }

}  // namespace

bool is_whitespace(char32_t code) {
  if (code < 0x80) return code == ' ' || (code >= '\t' && code <= '\r');
  return u_isUWhiteSpace(static_cast<UChar32>(code));
}

bool is_numeric(char32_t code) {
  if (code < 0x80) return code >= '0' && code <= '9';
  const int kind = category(code);
  return is_in(kind, U_GC_N_MASK) || (kind == U_UNASSIGNED && is_among(code, kNewerNumbers));
}

bool is_letter(char32_t code) {
  if (code < 0x80) return (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
  const int kind = category(code);
  return is_in(kind, U_GC_L_MASK) || (kind == U_UNASSIGNED && is_among(code, kNewerLetters));
}

bool is_word_character(char32_t code) {
  if (code < 0x80) return is_letter(code) || is_numeric(code) || code == '_';
  const int kind = category(code);
  if (kind == U_UNASSIGNED) {
    return is_among(code, kNewerLetters) || is_among(code, kNewerMarks) ||
           is_among(code, kNewerNumbers);
  }
  return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_ALPHABETIC) || code == 0x200C ||
         code == 0x200D || is_in(kind, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK);
}

char32_t lower_case(char32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  if (category(code) == U_UNASSIGNED) {
    for (const CapitalRange& range : kNewerCapitals)
      if (code >= range.first && code <= range.last)
        return static_cast<char32_t>(static_cast<int>(code) + range.to_lower);
  }
  return static_cast<char32_t>(u_tolower(static_cast<UChar32>(code)));
}

bool is_bert_control(char32_t code) {
  if (code < 0x80)
    return (code < ' ' && code != '\t' && code != '\n' && code != '\r') || code == 127;
  return is_in(category(code), U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK) &&
         known_in_version(code, 8);
}

bool is_punctuation(char32_t code) {
  if (code < 0x80) return code > ' ' && code < 127 && !is_letter(code) && !is_numeric(code);
  // Two that were punctuation in Unicode 8 and are not any more.
  if (code == 0x166D || code == 0x111C9) return true;
  return is_in(category(code), U_GC_P_MASK) && known_in_version(code, 8);
}

bool is_nonspacing_mark(char32_t code) {
  if (code < 0x300) return false;
  switch (code) {  // those whose category changed after Unicode 8
    case 0x1734:
      return true;
    case 0x1885:
    case 0x1886:
    case 0xA9BD:
    case 0x111C9:
      return false;
    default:
      break;
  }
  return is_in(category(code), U_GC_MN_MASK) && known_in_version(code, 8);
}

bool is_cjk_ideograph(char32_t code) {
  if (code < 0x3400) return false;
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B81F) ||
         (code >= 0x2B920 && code <= 0x2CEAF) || (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0x2F800 && code <= 0x2FA1F);
}

bool is_combining_mark(char32_t code) {
  if (code < 0x300) return false;
  if (code == 0x1CF2 || code == 0x1CF3) return true;  // spacing marks until Unicode 11
  if (code == 0x111C9) return false;
  return is_in(category(code), U_GC_M_MASK) && known_in_version(code, 9);
}

bool is_known_to_normal_forms(char32_t code) { return code < 0x300 || known_in_version(code, 9); }

}  // namespace headlight::text
