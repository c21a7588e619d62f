// Pictures as numbers: PNG and JPEG, through libpng and libjpeg.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace headlight::tensorfile {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [height, width, 3]: red, green, blue
};

using Colour = std::array<uint8_t, 3>;

// What the file's first bytes say it is, whatever its name. Grey becomes red, green and blue alike;
// palettes are looked up; gamma and orientation are left aside. A background shines through where a
// picture is transparent; without one transparency is left aside, as Pillow does with
// convert("RGB"). Throws Error (bad_input) naming the file for anything else, for a damaged file,
// and for more than 2^28 pixels.
Image read_image(const std::filesystem::path& path,
                 const std::optional<Colour>& background = std::nullopt);

}  // namespace headlight::tensorfile
