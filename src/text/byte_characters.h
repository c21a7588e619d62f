// GPT-2's way to write bytes as visible characters: a space is U+0120, a newline U+010A.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace headlight::text {

// The character of each byte, as UTF-8.
const std::array<std::string, 256>& byte_characters();

// The byte of a character, or -1.
int byte_of_character(char32_t code);

}  // namespace headlight::text
