#include "task/image_input.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/image.h"
#include "tensorfile/json_file.h"

namespace headlight::task {
namespace {

namespace fs = std::filesystem;

struct ImageSize {
  int64_t height = 0, width = 0;
};

// The names and numbers are those of transformers' image processors.
struct Preprocessing {
  bool resize = true, crop = false, rescale = true, normalize = true;
  std::optional<int64_t> shortest_edge;
  ImageSize size, crop_size;
  int64_t resample = 2;
  double factor = 1.0 / 255;
  std::array<double, 3> mean{0.5, 0.5, 0.5}, deviation{0.5, 0.5, 0.5};
  std::optional<tensorfile::Colour> background;
};

class PreprocessorReader {
 public:
  PreprocessorReader(const fs::path& path, nlohmann::json json)
      : path_(path.string()), json_(std::move(json)) {}

  [[noreturn]] void refuse(const char* name, const std::string& what) const {
    throw Error(ErrorKind::bad_input, fmt::format("{}: {} {}", path_, name, what));
  }
  bool has(const char* name) const { return json_.contains(name) && !json_[name].is_null(); }
  bool flag(const char* name, bool otherwise) const {
    if (!has(name)) return otherwise;
    if (!json_[name].is_boolean()) refuse(name, "must be true or false");
    return json_[name];
  }
  double number(const char* name, double otherwise) const {
    if (!has(name)) return otherwise;
    if (!json_[name].is_number()) refuse(name, "must be a number");
    return json_[name];
  }
  std::array<double, 3> three(const char* name, std::array<double, 3> otherwise) const {
    if (!has(name)) return otherwise;
    const nlohmann::json& list = json_[name];
    if (!list.is_array() || list.size() != 3 || !list[0].is_number() || !list[1].is_number() ||
        !list[2].is_number())
      refuse(name, "must be three numbers, for red, green and blue");
    return {list[0], list[1], list[2]};
  }
  // A number for both sides, or {"height", "width"}; {"shortest_edge"} goes there.
  ImageSize size(const char* name, ImageSize otherwise,
                 std::optional<int64_t>* shortest_edge) const {
    if (!has(name)) return otherwise;
    const nlohmann::json& value = json_[name];
    const auto side = [&](const nlohmann::json& one) {
      if (!one.is_number_integer() || one.get<int64_t>() < 1 || one.get<int64_t>() > 16384)
        refuse(name, "must be whole numbers of pixels from 1 to 16384");
      return one.get<int64_t>();
    };
    if (value.is_object() && value.contains("height") && value.contains("width"))
      return {side(value["height"]), side(value["width"])};
    if (value.is_object() && value.contains("shortest_edge") && shortest_edge) {
      *shortest_edge = side(value["shortest_edge"]);
      return otherwise;
    }
    if (!value.is_number()) refuse(name, "must be {\"height\": …, \"width\": …} or a number");
    return {side(value), side(value)};
  }

 private:
  std::string path_;
  nlohmann::json json_;
};

Preprocessing read_preprocessing(const fs::path& model, const model::Config& config) {
  Preprocessing p;
  p.size = p.crop_size = {config.image_height, config.image_width};
  const fs::path path = model / "preprocessor_config.json";
  if (!fs::exists(path)) return p;
  nlohmann::json json = tensorfile::read_json_file(path);
  if (!json.is_object())
    throw Error(ErrorKind::bad_input, path.string() + ": an object belongs there");
  const PreprocessorReader reader(path, std::move(json));
  p.resize = reader.flag("do_resize", true);
  p.crop = reader.flag("do_center_crop", false);
  p.rescale = reader.flag("do_rescale", true);
  p.normalize = reader.flag("do_normalize", true);
  p.size = reader.size("size", p.size, &p.shortest_edge);
  p.crop_size = reader.size("crop_size", p.crop_size, nullptr);
  p.resample = static_cast<int64_t>(reader.number("resample", 2));
  if (p.resample != 0 && p.resample != 2 && p.resample != 3)
    reader.refuse("resample", "must be 0 (nearest), 2 (bilinear) or 3 (bicubic)");
  p.factor = reader.number("rescale_factor", 1.0 / 255);
  p.mean = reader.three("image_mean", p.mean);
  p.deviation = reader.three("image_std", p.deviation);
  for (const double one : p.deviation)
    if (!(one > 0)) reader.refuse("image_std", "must be positive");
  if (reader.has("background")) {
    const std::array<double, 3> colour = reader.three("background", {});
    p.background.emplace();
    for (size_t i = 0; i < colour.size(); ++i) {
      if (!(colour[i] >= 0 && colour[i] <= 255))
        reader.refuse("background", "must be three numbers from 0 to 255");
      (*p.background)[i] = static_cast<uint8_t>(colour[i]);
    }
  }
  return p;
}

// As Pillow does it: with a filter as wide as the step is when shrinking, and whole numbers after.
at::Tensor resized(const at::Tensor& image, ImageSize to, int64_t resample) {
  if (image.size(2) == to.height && image.size(3) == to.width) return image;
  const std::array<int64_t, 2> size{to.height, to.width};
  const at::Tensor sampled = resample == 0   ? at::_upsample_nearest_exact2d(image, size)
                             : resample == 2 ? at::_upsample_bilinear2d_aa(image, size, false)
                                             : at::_upsample_bicubic2d_aa(image, size, false);
  return sampled.round().clamp(0, 255);
}

ImageSize with_shortest_edge(const at::Tensor& image, int64_t edge) {
  const double height = double(image.size(2)), width = double(image.size(3));
  const double scale = double(edge) / std::min(height, width);
  return height < width ? ImageSize{edge, static_cast<int64_t>(width * scale)}
                        : ImageSize{static_cast<int64_t>(height * scale), edge};
}

// The middle; what lies outside the picture is black.
at::Tensor cropped(const at::Tensor& image, ImageSize to) {
  const int64_t missing_height = std::max<int64_t>(0, to.height - image.size(2)),
                missing_width = std::max<int64_t>(0, to.width - image.size(3));
  const int64_t above = (missing_height + 1) / 2, left = (missing_width + 1) / 2;
  const at::Tensor wide =
      at::constant_pad_nd(image, {left, missing_width - left, above, missing_height - above}, 0);
  return wide.narrow(2, (wide.size(2) - to.height) / 2, to.height)
      .narrow(3, (wide.size(3) - to.width) / 2, to.width);
}

}  // namespace

at::Tensor read_image_input(const fs::path& path, const fs::path& model,
                            const model::Config& config) {
  const Preprocessing p = read_preprocessing(model, config);
  tensorfile::Image image = tensorfile::read_image(path, p.background);
  if (config.channels != 3)
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: the model reads {} channels; --image gives 3 (red, green, blue). "
                            "Give --inputs with pixel_values",
                            model.string(), config.channels));
  at::Tensor pixels =
      at::from_blob(image.pixels.data(), {1, image.height, image.width, 3}, at::kByte)
          .permute({0, 3, 1, 2})
          .to(at::kFloat)
          .contiguous();
  if (p.resize)
    pixels =
        resized(pixels, p.shortest_edge ? with_shortest_edge(pixels, *p.shortest_edge) : p.size,
                p.resample);
  if (p.crop) pixels = cropped(pixels, p.crop_size);
  if (p.rescale) pixels = pixels * p.factor;
  if (p.normalize) {
    const auto each = [](const std::array<double, 3>& numbers) {
      return at::tensor({float(numbers[0]), float(numbers[1]), float(numbers[2])})
          .view({1, 3, 1, 1});
    };
    pixels = (pixels - each(p.mean)) / each(p.deviation);
  }
  if (pixels.size(2) != config.image_height || pixels.size(3) != config.image_width)
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{}: after preprocessing it is {} x {} pixels, but the model reads {} x "
                    "{}; see preprocessor_config.json",
                    path.string(), pixels.size(3), pixels.size(2), config.image_width,
                    config.image_height));
  return pixels.contiguous();
}

void write_preprocessing(const fs::path& model, int64_t height, int64_t width) {
  const nlohmann::ordered_json json = {{"image_processor_type", "ViTImageProcessor"},
                                       {"do_resize", true},
                                       {"size", {{"height", height}, {"width", width}}},
                                       {"resample", 2},
                                       {"do_rescale", true},
                                       {"rescale_factor", 1.0 / 255},
                                       {"do_normalize", true},
                                       {"image_mean", {0.5, 0.5, 0.5}},
                                       {"image_std", {0.5, 0.5, 0.5}},
                                       {"background", {255, 255, 255}}};
  tensorfile::write_file_atomically(model / "preprocessor_config.json", json.dump(2) + "\n");
}

}  // namespace headlight::task
