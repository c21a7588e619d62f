// What the terminal can show, and how wide text is on it.
#pragma once

#include <limits>
#include <string>
#include <string_view>

namespace headlight::report {

enum class Stream { out, err };

bool is_terminal(Stream);

inline constexpr int kUnlimitedWidth = std::numeric_limits<int>::max();

// What a file or a pipe gets: wide enough for tables, narrow enough for a mail or a log.
inline constexpr int kWidthOfFiles = 100;

// Columns of the terminal, at least 20; kWidthOfFiles if the stream is none.
int terminal_width(Stream = Stream::out);

// Only on a terminal, never with NO_COLOR (no-color.org) or TERM=dumb.
bool use_colour(Stream = Stream::out);
bool colour_allowed(bool terminal, const char* no_color, const char* term);

// In blue, from faint to bold by a strength from 0 to 1; as it is without colour.
std::string painted(const std::string& text, double strength, bool colour);

// Columns that UTF-8 text takes: 0 for combining marks, 2 for East Asian wide letters and emoji.
// A byte that is no UTF-8 counts as one.
int display_width(std::string_view text);

// At most `width` columns; what is cut off is marked with "…".
std::string clipped(std::string_view text, int width);

// Lines of at most `width` columns, broken between words where that is possible; no line feed at
// the end. Line feeds in the text stay.
std::string wrapped(std::string_view text, int width);

// Control characters and bytes that are no UTF-8 as \x1b: for messages that repeat what a user
// gave.
std::string escaped(std::string_view text);

// Control characters, which could move the cursor or colour the terminal, become spaces.
std::string printable(std::string_view text);

}  // namespace headlight::report
