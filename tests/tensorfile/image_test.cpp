#include "tensorfile/image.h"

#include <gmock/gmock.h>
#include <jpeglib.h>
#include <png.h>

#include <cstdlib>

#include "headlight/error.h"
#include "temporary_folder.h"

namespace headlight::tensorfile {
namespace {

using ::headlight::testing::error_of;
using ::headlight::testing::TemporaryFolder;
using ::testing::HasSubstr;

std::string png_of(png_uint_32 format, int width, int height, const void* pixels,
                   const void* colours = nullptr, int colour_count = 0) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = format;
  image.colormap_entries = static_cast<png_uint_32>(colour_count);
  png_alloc_size_t size = 0;
  EXPECT_TRUE(png_image_write_get_memory_size(image, size, 0, pixels, 0, colours));
  std::string bytes(size, '\0');
  EXPECT_TRUE(png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels, 0, colours));
  bytes.resize(size);
  return bytes;
}

std::string jpeg_of(int width, int height, const std::vector<uint8_t>& pixels) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 98, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPROW>(pixels.data() + size_t{jpeg.next_scanline} * width * 3);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string result(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&jpeg);
  std::free(bytes);
  return result;
}

std::vector<uint8_t> ramp(int width, int height) {
  std::vector<uint8_t> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int value : {8 * x, 8 * y, 4 * (x + y)})
        pixels.push_back(static_cast<uint8_t>(value));
  return pixels;
}

TEST(Images, APngIsReadExactly) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> pixels = ramp(7, 5);
  folder.file("a.png", png_of(PNG_FORMAT_RGB, 7, 5, pixels.data()));
  const Image image = read_image(folder / "a.png");
  EXPECT_EQ(image.width, 7);
  EXPECT_EQ(image.height, 5);
  EXPECT_EQ(image.pixels, pixels);
}

TEST(Images, GreyPaletteAndTransparencyBecomeRedGreenAndBlue) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> grey{0, 90, 255};
  folder.file("grey.png", png_of(PNG_FORMAT_GRAY, 3, 1, grey.data()));
  EXPECT_EQ(read_image(folder / "grey.png").pixels,
            (std::vector<uint8_t>{0, 0, 0, 90, 90, 90, 255, 255, 255}));
  const std::vector<uint8_t> colours{10, 20, 30, 200, 100, 50}, places{1, 0, 1};
  folder.file("palette.png",
              png_of(PNG_FORMAT_RGB_COLORMAP, 3, 1, places.data(), colours.data(), 2));
  EXPECT_EQ(read_image(folder / "palette.png").pixels,
            (std::vector<uint8_t>{200, 100, 50, 10, 20, 30, 200, 100, 50}));
  const std::vector<uint8_t> clear{1, 2, 3, 0, 4, 5, 6, 255};
  folder.file("clear.png", png_of(PNG_FORMAT_RGBA, 2, 1, clear.data()));
  EXPECT_EQ(read_image(folder / "clear.png").pixels, (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Images, ABackgroundShinesThroughWhereAPictureIsTransparent) {
  const TemporaryFolder folder;
  const Colour white{255, 255, 255};
  const std::vector<uint8_t> clear{1, 2, 3, 0, 4, 5, 6, 255, 100, 0, 255, 51};
  folder.file("clear.png", png_of(PNG_FORMAT_RGBA, 3, 1, clear.data()));
  EXPECT_EQ(read_image(folder / "clear.png", white).pixels,
            (std::vector<uint8_t>{255, 255, 255, 4, 5, 6, 224, 204, 255}));
  EXPECT_EQ(read_image(folder / "clear.png", Colour{9, 8, 7}).pixels[0], 9);
  const std::vector<uint8_t> pixels = ramp(7, 5), grey{0, 90, 255};
  folder.file("opaque.png", png_of(PNG_FORMAT_RGB, 7, 5, pixels.data()));
  EXPECT_EQ(read_image(folder / "opaque.png", white).pixels, pixels);
  folder.file("grey.png", png_of(PNG_FORMAT_GRAY, 3, 1, grey.data()));
  EXPECT_EQ(read_image(folder / "grey.png", white).pixels,
            (std::vector<uint8_t>{0, 0, 0, 90, 90, 90, 255, 255, 255}));
  folder.file("photo", jpeg_of(7, 5, pixels));
  EXPECT_EQ(read_image(folder / "photo", white).pixels, read_image(folder / "photo").pixels);
}

TEST(Images, AJpegIsReadWithinItsLosses) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> pixels = ramp(24, 16);
  folder.file("photo", jpeg_of(24, 16, pixels));
  const Image image = read_image(folder / "photo");
  ASSERT_EQ(image.pixels.size(), pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) ASSERT_NEAR(image.pixels[i], pixels[i], 12) << i;
}

TEST(Images, EveryCutFileIsRefused) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> pixels = ramp(24, 16);
  for (const std::string& whole :
       {png_of(PNG_FORMAT_RGB, 24, 16, pixels.data()), jpeg_of(24, 16, pixels)})
    for (size_t size = 0; size + 2 < whole.size(); size += 7) {
      folder.file("cut", whole.substr(0, size));
      EXPECT_THROW(read_image(folder / "cut"), Error) << size;
    }
}

TEST(Images, DamagedBytesEndInAPictureOrAnError) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> pixels = ramp(24, 16);
  for (const std::string& whole :
       {png_of(PNG_FORMAT_RGB, 24, 16, pixels.data()), jpeg_of(24, 16, pixels)})
    for (size_t at = 0; at < whole.size(); at += 3) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
      folder.file("damaged", damaged);
      try {
        const Image image = read_image(folder / "damaged");
        EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.height * image.width * 3));
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_input);
      }
    }
}

TEST(Images, AnotherKindOfFileIsRefusedByName) {
  const TemporaryFolder folder;
  folder.file("a.gif", "GIF89a");
  const std::string message = error_of(ErrorKind::bad_input, [&] { read_image(folder / "a.gif"); });
  EXPECT_THAT(message, HasSubstr("a.gif"));
  EXPECT_THAT(message, HasSubstr("PNG"));
}

}  // namespace
}  // namespace headlight::tensorfile
