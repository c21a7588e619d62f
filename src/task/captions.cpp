#include "task/captions.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>

#include "headlight/error.h"
#include "task/image_input.h"
#include "task/random.h"
#include "text/lines.h"

namespace headlight::task {
namespace {

namespace fs = std::filesystem;

fs::path picture_path(const fs::path& file, const std::string& written) {
  return (file.parent_path() / text::trimmed(written)).lexically_normal();
}

std::string picture_name(const at::Tensor& picture) {
  const float* const from = picture.const_data_ptr<float>();
  uint64_t hash = 0;
  for (int64_t i = 0; i < picture.numel(); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, from + i, sizeof bits);
    hash = mix(hash, bits);
  }
  return fmt::format("{:016x}", hash);
}

// Reads every file once, however many captions it has.
class PictureShelf {
 public:
  PictureShelf(const fs::path& model, const model::Config& config, bool skip_bad, Captions& all)
      : model_(model), config_(config), skip_bad_(skip_bad), all_(all) {}

  // The name of a picture; empty: skipped.
  std::string name_of(const fs::path& path, const std::string& place) {
    if (const auto known = names_.find(path); known != names_.end()) return known->second;
    std::string& name = names_[path];
    try {
      const at::Tensor picture = read_image_input(path, model_, config_)[0];
      name = picture_name(picture);
      all_.pictures.emplace(name, picture);
    } catch (const Error& problem) {
      if (problem.kind() != ErrorKind::bad_input) throw;
      if (!skip_bad_)
        throw Error(ErrorKind::bad_input, fmt::format("{}: {}; --skip-bad leaves such images out",
                                                      place, problem.what()));
      ++all_.bad;
    }
    return name;
  }

 private:
  const fs::path& model_;
  const model::Config& config_;
  bool skip_bad_;
  Captions& all_;
  std::map<fs::path, std::string> names_;
};

}  // namespace

Captions read_captions(const std::vector<fs::path>& files, const fs::path& model,
                       const model::Config& config, bool skip_bad) {
  Captions all;
  PictureShelf shelf(model, config, skip_bad, all);
  for (const fs::path& file : files) {
    ParallelText lines = read_pairs({file});
    for (size_t i = 0; i < lines.sources.size(); ++i) {
      std::string name;
      // Lines with an empty side are left to remove_empty().
      if (!text::is_blank(lines.sources[i]) && !text::is_blank(lines.targets[i])) {
        name = shelf.name_of(picture_path(file, lines.sources[i]),
                             fmt::format("{}: line {}", file.string(), i + 1));
        if (name.empty()) continue;
      }
      all.text.sources.push_back(std::move(name));
      all.text.targets.push_back(std::move(lines.targets[i]));
    }
  }
  return all;
}

std::vector<fs::path> pictures_of(const fs::path& file) {
  const std::vector<std::string> lines = text::read_lines(file);
  std::vector<fs::path> paths;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string written = lines[i].substr(0, lines[i].find('\t'));
    if (text::is_blank(written))
      throw Error(ErrorKind::bad_input,
                  fmt::format("{}: line {} does not begin with the path of an image", file.string(),
                              i + 1));
    paths.push_back(picture_path(file, written));
  }
  return paths;
}

}  // namespace headlight::task
