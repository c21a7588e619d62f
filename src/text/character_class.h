// Kinds of characters. The Rust libraries behind the published tokenizers know different versions
// of Unicode; ids are only equal if each question is answered by the version that they ask.
#pragma once

namespace headlight::text {

// Rust's char methods and regex classes: the newest Unicode that ICU has.
bool is_whitespace(char32_t code);      // White_Space
bool is_numeric(char32_t code);         // Nd, Nl, No
bool is_word_character(char32_t code);  // \w of UTS 18
bool is_letter(char32_t code);          // \p{L}
char32_t lower_case(char32_t code);     // one to one; U+0130 is the caller's

// BERT's questions: Unicode 8.
bool is_bert_control(char32_t code);     // Cc, Cf, Co; not tab, newline, carriage return
bool is_punctuation(char32_t code);      // P*, and all ASCII symbols
bool is_nonspacing_mark(char32_t code);  // Mn
bool is_cjk_ideograph(char32_t code);    // the blocks that BERT puts spaces around

// Unicode 9.
bool is_combining_mark(char32_t code);  // M*
bool is_known_to_normal_forms(char32_t code);

}  // namespace headlight::text
