// Pictures as numbers: PNG and JPEG, through libpng and libjpeg.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace headlight::tensorfile {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [height, width, 3]: red, green, blue
};

// What the file's first bytes say it is, whatever its name. Grey becomes red, green and blue alike;
// palettes are looked up; transparency, gamma and orientation are left aside, as Pillow does with
// convert("RGB"). Throws Error (bad_input) naming the file for anything else, for a damaged file,
// and for more than 2^28 pixels.
Image read_image(const std::filesystem::path& path);

}  // namespace headlight::tensorfile
