#include "task/parallel_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "task/random.h"
#include "text/lines.h"

namespace headlight::task {
namespace {

namespace fs = std::filesystem;

// {"source": "...", "target": "..."} on every line.
ParallelText read_json_lines(const fs::path& file, const std::vector<std::string>& lines) {
  ParallelText text;
  for (size_t i = 0; i < lines.size(); ++i) {
    const nlohmann::json pair = nlohmann::json::parse(lines[i], nullptr, false);
    const auto side = [&](const char* name) {
      if (!pair.is_object() || !pair.contains(name) || !pair[name].is_string())
        throw Error(ErrorKind::bad_input,
                    fmt::format("{}: line {} is not a JSON object with \"source\" and \"target\", "
                                "each a text",
                                file.string(), i + 1));
      std::string value = pair[name].get<std::string>();
      std::replace(value.begin(), value.end(), '\n', ' ');
      return value;
    };
    text.sources.push_back(side("source"));
    text.targets.push_back(side("target"));
  }
  return text;
}

ParallelText read_one_file(const fs::path& file) {
  ParallelText text;
  const std::vector<std::string> lines = text::read_lines(file);
  if (!lines.empty() && lines[0].starts_with('{')) return read_json_lines(file, lines);
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t tab = lines[i].find('\t');
    if (tab == std::string::npos || lines[i].find('\t', tab + 1) != std::string::npos)
      throw Error(
          ErrorKind::bad_input,
          fmt::format("{}: line {} is not a source, one tab and its target", file.string(), i + 1));
    text.sources.push_back(lines[i].substr(0, tab));
    text.targets.push_back(lines[i].substr(tab + 1));
  }
  return text;
}

uint64_t hash_of(const std::string& text) {
  uint64_t hash = 0;
  for (const char c : text) hash = mix(hash, static_cast<unsigned char>(c));
  return hash;
}

}  // namespace

ParallelText read_pairs(const std::vector<fs::path>& files) {
  if (files.size() == 1) return read_one_file(files[0]);
  if (files.size() != 2)
    throw Error(ErrorKind::usage,
                "pairs come from two files, a source and a target line by line, or from one with "
                "tabs between them or with JSON on every line");
  ParallelText text{text::read_lines(files[0]), text::read_lines(files[1])};
  if (text.sources.size() != text.targets.size())
    throw Error(ErrorKind::bad_input,
                fmt::format("{} has {} lines and {} has {}; line by line, the second must say what "
                            "the first says",
                            files[0].string(), text.sources.size(), files[1].string(),
                            text.targets.size()));
  return text;
}

ParallelText read_alone(const std::vector<fs::path>& files) {
  ParallelText text;
  for (const fs::path& file : files)
    for (std::string& line : text::read_lines(file)) text.targets.push_back(std::move(line));
  return text;
}

int64_t remove_empty(ParallelText& text) {
  const bool pairs = !text.sources.empty();
  size_t kept = 0;
  for (size_t i = 0; i < text.targets.size(); ++i) {
    if (text::is_blank(text.targets[i]) || (pairs && text::is_blank(text.sources[i]))) continue;
    if (kept != i) {
      text.targets[kept] = std::move(text.targets[i]);
      if (pairs) text.sources[kept] = std::move(text.sources[i]);
    }
    ++kept;
  }
  const auto removed = static_cast<int64_t>(text.targets.size() - kept);
  text.targets.resize(kept);
  if (pairs) text.sources.resize(kept);
  return removed;
}

ParallelText hold_out(ParallelText& text, double share, int64_t most) {
  const bool pairs = !text.sources.empty();
  const double all = static_cast<double>(text.targets.size());
  const double taken = std::min(share, static_cast<double>(most) / std::max(1.0, all));
  std::vector<uint64_t> places;  // from 0 to 2^32
  for (const std::string& text_of : pairs ? text.sources : text.targets)
    places.push_back(hash_of(text_of) >> 32);
  auto below = static_cast<uint64_t>(taken * 0x1p32);
  if (!places.empty()) below = std::max(below, *std::ranges::min_element(places) + 1);
  ParallelText kept, held;
  for (size_t i = 0; i < text.targets.size(); ++i) {
    ParallelText& side = places[i] < below ? held : kept;
    side.targets.push_back(std::move(text.targets[i]));
    if (pairs) side.sources.push_back(std::move(text.sources[i]));
  }
  text = std::move(kept);
  return held;
}

}  // namespace headlight::task
