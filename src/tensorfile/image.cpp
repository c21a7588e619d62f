#include "tensorfile/image.h"

#include <fmt/format.h>
#include <jpeglib.h>
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"

namespace headlight::tensorfile {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 28;
constexpr int64_t kMostBytes = int64_t{1} << 30;

// Both libraries leave through longjmp when a file is damaged: no function between setjmp and
// there may own memory, so what they fill belongs to the caller. Empty: all went well.
using Problem = std::string;

bool sized(int64_t height, int64_t width, int64_t channels, Image& image, Problem& problem) {
  if (height * width > kMostPixels) {
    problem = fmt::format("{} x {} pixels are more than this reads", width, height);
    return false;
  }
  image.height = height;
  image.width = width;
  image.pixels.resize(static_cast<size_t>(height * width * channels));
  return true;
}

struct Bytes {
  const std::string& all;
  size_t at = 0;
};

void png_failed(png_structp png, png_const_charp message) {
  *static_cast<Problem*>(png_get_error_ptr(png)) = message;
  png_longjmp(png, 1);
}

void png_warned(png_structp, png_const_charp) {}

void png_bytes(png_structp png, png_bytep to, size_t count) {
  auto& from = *static_cast<Bytes*>(png_get_io_ptr(png));
  if (from.all.size() - from.at < count) png_error(png, "the file ends too early");
  std::memcpy(to, from.all.data() + from.at, count);
  from.at += count;
}

// `channels` is 3, or 4 with how opaque every pixel is.
void decode_png(png_structp png, png_infop info, Bytes& bytes, int64_t channels, Image& image,
                std::vector<png_bytep>& rows, Problem& problem) {
  if (setjmp(png_jmpbuf(png))) return;
  png_set_read_fn(png, &bytes, png_bytes);
  png_set_user_limits(png, 1 << 20, 1 << 20);
  png_read_info(png, info);
  if (!sized(png_get_image_height(png, info), png_get_image_width(png, info), channels, image,
             problem))
    return;
  png_set_expand(png);  // palettes, fewer than 8 bits, transparent colours
  png_set_strip_16(png);
  if (channels == 3)
    png_set_strip_alpha(png);
  else
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != static_cast<size_t>(image.width * channels))
    png_error(png, "its colours are not red, green and blue");
  for (int64_t y = 0; y < image.height; ++y)
    rows.push_back(image.pixels.data() + y * image.width * channels);
  png_read_image(png, rows.data());
  png_read_end(png, nullptr);
}

// Four channels to three.
void lay_over(Image& image, const Colour& background) {
  const size_t count = image.pixels.size() / 4;
  for (size_t i = 0; i < count; ++i) {
    const int opaque = image.pixels[4 * i + 3];
    for (size_t c = 0; c < 3; ++c)
      image.pixels[3 * i + c] = static_cast<uint8_t>(
          (image.pixels[4 * i + c] * opaque + background[c] * (255 - opaque) + 127) / 255);
  }
  image.pixels.resize(3 * count);
}

Problem read_png(const std::string& file, const std::optional<Colour>& background, Image& image) {
  Problem problem;
  Bytes bytes{file};
  std::vector<png_bytep> rows;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &problem, png_failed, png_warned);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (info)
    decode_png(png, info, bytes, background ? 4 : 3, image, rows, problem);
  else
    problem = "not enough memory";
  png_destroy_read_struct(&png, &info, nullptr);
  if (problem.empty() && background) lay_over(image, *background);
  return problem;
}

struct JpegErrors {
  jpeg_error_mgr manager;  // first: libjpeg hands out its address
  std::jmp_buf leave;
  char message[JMSG_LENGTH_MAX] = "";
};

void jpeg_failed(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  jpeg->err->format_message(jpeg, errors->message);
  std::longjmp(errors->leave, 1);
}

// libjpeg makes up what a damaged file lacks and warns; that is no picture to measure on.
void jpeg_warned(j_common_ptr jpeg, int level) {
  if (level < 0) jpeg_failed(jpeg);
}

void decode_jpeg(jpeg_decompress_struct& jpeg, JpegErrors& errors, const std::string& file,
                 Image& image, Problem& problem) {
  if (setjmp(errors.leave)) return;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()),
               static_cast<unsigned long>(file.size()));
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  if (!sized(jpeg.image_height, jpeg.image_width, 3, image, problem)) return;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = image.pixels.data() + int64_t{jpeg.output_scanline} * image.width * 3;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
}

Problem read_jpeg(const std::string& file, Image& image) {
  Problem problem;
  JpegErrors errors;
  jpeg_decompress_struct jpeg;
  std::memset(&jpeg, 0, sizeof jpeg);
  jpeg.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = jpeg_failed;
  errors.manager.emit_message = jpeg_warned;
  jpeg_create_decompress(&jpeg);
  decode_jpeg(jpeg, errors, file, image, problem);
  jpeg_destroy_decompress(&jpeg);
  return problem.empty() ? errors.message : problem;
}

}  // namespace

Image read_image(const std::filesystem::path& path, const std::optional<Colour>& background) {
  const std::string file = read_text_file(path, kMostBytes);
  Image image;
  Problem problem;
  if (file.starts_with("\x89PNG\r\n\x1a\n"))
    problem = read_png(file, background, image);
  else if (file.starts_with("\xff\xd8\xff"))
    problem = read_jpeg(file, image);
  else
    problem = "is neither PNG nor JPEG; convert it to one of them";
  if (!problem.empty())
    throw Error(ErrorKind::bad_input, fmt::format("{}: {}", path.string(), problem));
  return image;
}

}  // namespace headlight::tensorfile
