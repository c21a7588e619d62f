#include "report/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>

namespace headlight::report {
namespace {

struct Range {
  char32_t first, last;
};

// Unicode 15: marks that stand on the letter before them, and letters of two columns. Coarse on
// purpose: blocks, not single letters.
constexpr Range kZero[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},    {0x610, 0x61A},
                           {0x64B, 0x65F},   {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},  {0x200B, 0x200F},
                           {0x202A, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF},  {0xFE00, 0xFE0F},
                           {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},  {0xA960, 0xA97F}, {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

template <size_t n>
bool in(const Range (&ranges)[n], char32_t letter) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [=](const Range& r) { return letter >= r.first && letter <= r.last; });
}

struct Letter {
  char32_t code = 0;
  size_t bytes = 1;
};

Letter letter_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return uint8_t(text[at + i]); };
  const uint8_t lead = byte(0);
  const size_t bytes = lead < 0x80   ? 1
                       : lead < 0xC2 ? 0
                       : lead < 0xE0 ? 2
                       : lead < 0xF0 ? 3
                       : lead < 0xF5 ? 4
                                     : 0;
  if (bytes == 0 || at + bytes > text.size()) return {0xFFFD, 1};
  char32_t code = bytes == 1 ? lead : lead & (0xFF >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0xFFFD, 1};
    code = code << 6 | (byte(i) & 0x3F);
  }
  return {code, bytes};
}

bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

int width_of(char32_t code) { return in(kZero, code) ? 0 : in(kWide, code) ? 2 : 1; }

int descriptor(Stream stream) { return stream == Stream::out ? STDOUT_FILENO : STDERR_FILENO; }

}  // namespace

bool is_terminal(Stream stream) { return isatty(descriptor(stream)) == 1; }

int terminal_width(Stream stream) {
  if (!is_terminal(stream)) return kWidthOfFiles;
  winsize size{};
  if (ioctl(descriptor(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return std::max<int>(20, size.ws_col);
  const char* columns = std::getenv("COLUMNS");
  const long width = columns ? std::strtol(columns, nullptr, 10) : 0;
  return width > 0 ? static_cast<int>(std::clamp(width, 20L, 1000L)) : 80;
}

bool use_colour(Stream stream) {
  return colour_allowed(is_terminal(stream), std::getenv("NO_COLOR"), std::getenv("TERM"));
}

bool colour_allowed(bool terminal, const char* no_color, const char* term) {
  const bool refused = no_color && *no_color != '\0';
  return terminal && !refused && term && std::string_view(term) != "dumb";
}

std::string painted(const std::string& text, double strength, bool colour) {
  if (!colour) return text;
  constexpr int kBlues[] = {240, 245, 110, 75, 39};
  const int step = std::clamp(static_cast<int>(strength * 5), 0, 4);
  return fmt::format("\x1b[{}38;5;{}m{}\x1b[0m", step == 4 ? "1;" : "", kBlues[step], text);
}

int display_width(std::string_view text) {
  int width = 0;
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    width += width_of(letter.code);
    at += letter.bytes;
  }
  return width;
}

std::string clipped(std::string_view text, int width) {
  if (display_width(text) <= width) return std::string(text);
  if (width <= 0) return "";
  int used = 0;
  size_t at = 0;
  while (at < text.size()) {
    const Letter letter = letter_at(text, at);
    if (used + width_of(letter.code) > width - 1) break;
    used += width_of(letter.code);
    at += letter.bytes;
  }
  return std::string(text.substr(0, at)) + "…";
}

std::string wrapped(std::string_view text, int width) {
  std::string result;
  int used = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    const int needed = display_width(word);
    if (used > 0 && used + 1 + needed > width) {
      result += '\n';
      used = 0;
    } else if (used > 0) {
      result += ' ';
      ++used;
    }
    result += word;
    used += needed;
    at = end + 1;
    if (end < text.size() && text[end] == '\n') {
      result += '\n';
      used = 0;
    }
  }
  return result;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    const std::string_view bytes = text.substr(at, letter.bytes);
    const bool broken = letter.code == 0xFFFD && letter.bytes == 1;
    if (is_control(letter.code) || broken)
      for (const char byte : bytes) result += fmt::format("\\x{:02x}", uint8_t(byte));
    else
      result += bytes;
    at += letter.bytes;
  }
  return result;
}

std::string printable(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    const bool control = is_control(letter.code);
    result += control ? " " : letter.code == 0xFFFD ? "\uFFFD" : text.substr(at, letter.bytes);
    at += letter.bytes;
  }
  return result;
}

}  // namespace headlight::report
