// Whole numbers in text.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace headlight::text {

// The number that the whole text is, in digits with at most a minus before them; nothing otherwise,
// and for what 64 bits do not hold.
inline std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last) return {};
  return value;
}

}  // namespace headlight::text
