// Files of one text a line.
#pragma once

#include <filesystem>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

namespace headlight::text {

// Lines without their ends (\n or \r\n); a last one needs no end, and a byte order mark at the
// start is no text. `name` is for messages. Throws Error (bad_input) naming the line and the byte
// that is not UTF-8.
std::vector<std::string> read_lines(std::istream& from, const std::string& name);

// "-" is standard input. What gzip compressed is read as it was before.
std::vector<std::string> read_lines(const std::filesystem::path& file);

// Whether a line holds nothing but spaces and tabs.
bool is_blank(std::string_view line);

// Without the white space at both ends.
std::string trimmed(std::string_view text);

}  // namespace headlight::text
