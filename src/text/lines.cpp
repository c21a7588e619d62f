#include "text/lines.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>

#include "headlight/error.h"
#include "text/vocabulary.h"

namespace headlight::text {

std::vector<std::string> read_lines(std::istream& from, const std::string& name) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(from, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (lines.empty() && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    if (const size_t place = find_invalid_utf8(line); place != std::string_view::npos)
      throw Error(
          ErrorKind::bad_input,
          fmt::format("{}: line {} is not UTF-8 at byte {} (0x{:02X}); convert the file, "
                      "for example with iconv -f latin1 -t utf-8",
                      name, lines.size() + 1, place, static_cast<unsigned char>(line[place])));
    lines.push_back(std::move(line));
  }
  if (from.bad()) throw Error(ErrorKind::bad_input, name + ": cannot be read");
  return lines;
}

std::vector<std::string> read_lines(const std::filesystem::path& file) {
  if (file == "-") return read_lines(std::cin, "standard input");
  std::ifstream from(file, std::ios::binary);
  if (!from || std::filesystem::is_directory(file))
    throw Error(ErrorKind::bad_input, file.string() + ": cannot be read");
  if (from.get() == 0x1F && from.get() == 0x8B)
    throw Error(ErrorKind::bad_input, file.string() + ": is compressed; unpack it with gunzip -k");
  from.clear();
  from.seekg(0);
  return read_lines(from, file.string());
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace headlight::text
