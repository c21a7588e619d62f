#include "text/lines.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <sstream>

#include "headlight/error.h"
#include "text/vocabulary.h"

namespace headlight::text {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

}  // namespace

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
  const bool standard = file == "-";
  const std::string name = standard ? "standard input" : file.string();
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::bad_input, name + ": " + why);
  };
  if (!standard && std::filesystem::is_directory(file)) refuse("is a folder, not a file of lines");
  const std::unique_ptr<gzFile_s, CloseGzip> from(standard ? gzdopen(dup(STDIN_FILENO), "rb")
                                                           : gzopen(file.c_str(), "rb"));
  if (!from) refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
  std::string text;
  std::vector<char> part(size_t{1} << 18);
  int bytes = 0;
  while ((bytes = gzread(from.get(), part.data(), static_cast<unsigned>(part.size()))) > 0)
    text.append(part.data(), static_cast<size_t>(bytes));
  int code = Z_OK;
  gzerror(from.get(), &code);
  if (bytes < 0 || code != Z_OK)
    refuse(code == Z_ERRNO ? fmt::format("cannot be read: {}", std::strerror(errno))
                           : "is compressed by gzip, and damaged or cut off");
  std::istringstream stream(std::move(text));
  return read_lines(stream, name);
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(kWhiteSpace) == std::string_view::npos;
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1));
}

}  // namespace headlight::text
