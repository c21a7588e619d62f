// Pictures, and what is said of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/config.h"
#include "task/parallel_text.h"

namespace headlight::task {

struct Captions {
  // A source names a picture; the name depends on its pixels alone, as the model reads them, so
  // equal pictures have one name.
  ParallelText text;
  std::map<std::string, at::Tensor> pictures;  // [C, height, width], by these names
  int64_t bad = 0;                             // pictures that were skipped
};

// Lines of a picture's path, a tab and a caption; paths begin at the folder of the file that they
// are in. Pictures are read as read_image_input() does for the model folder and config. One that
// cannot be read is skipped with its lines if `skip_bad`; else Error (bad_input) names it, the
// file and the line. Throws Error (bad_input) for lines of another form.
Captions read_captions(const std::vector<std::filesystem::path>& files,
                       const std::filesystem::path& model, const model::Config& config,
                       bool skip_bad);

// Where the pictures of the first column of such a file are, a line each; captions may be missing.
std::vector<std::filesystem::path> pictures_of(const std::filesystem::path& file);

}  // namespace headlight::task
