#include "tensorfile/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/mapped_file.h"

namespace headlight::tensorfile {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kLongestNpyHeader = size_t{1} << 20;

[[noreturn]] void refuse_npy(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: {}", where, what));
}

struct NpyHeader {
  std::optional<DType> dtype;
  bool big_endian = false;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
  size_t data_begin = 0;
  int64_t data_bytes = 0;
};

// Reads the Python dictionary of the header: {'descr': '<f4', 'fortran_order': False, 'shape':
// (2, 3), }, and nothing beyond it.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  void parse(NpyHeader& header) {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !header.dtype) {
        read_type(header);
      } else if (key == "fortran_order" && !header.fortran_order) {
        header.fortran_order = truth();
      } else if (key == "shape" && !header.shape) {
        header.shape = sizes();
      } else {
        fail(fmt::format("the key '{}', which does not belong there", key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("text after the dictionary");
    if (!header.dtype || !header.fortran_order || !header.shape) {
      fail("not all of descr, fortran_order and shape");
    }
  }

 private:
  [[noreturn]] void fail(const std::string& found) {
    refuse_npy(where_, fmt::format("the .npy header has {} (at character {}); it must read like "
                                   "{{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }}",
                                   found, at_));
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("no '{}' where one belongs", c));
  }
  std::string quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : ' ';
    if (quote != '\'' && quote != '"') fail("no text in quotes where one belongs");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a text without its closing quote");
    std::string result(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return result;
  }
  bool truth() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    fail("neither True nor False for fortran_order");
  }
  std::vector<int64_t> sizes() {
    std::vector<int64_t> result;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t size = -1;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail("a size in shape that is no number from 0");
      at_ += static_cast<size_t>(end - begin);
      result.push_back(size);
      if (result.size() > 64) fail("more than 64 dimensions");
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return result;
  }

  void read_type(NpyHeader& header) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') {
      refuse_npy(where_,
                 "holds a structured array (records with fields); save each field as an array "
                 "of its own");
    }
    const std::string descr = quoted();
    const char order = descr.empty() ? ' ' : descr[0];
    const std::string type = descr.empty() ? "" : descr.substr(1);
    for (int i = 0; i <= static_cast<int>(DType::f64); ++i) {
      const DType dtype = static_cast<DType>(i);
      const std::string_view name = numpy_name(dtype);
      if (name.empty() || name.substr(1) != type) continue;
      const bool one_byte = element_size(dtype) == 1;
      if (order == '<' || order == '>' || order == '=' || (order == '|' && one_byte)) {
        header.dtype = dtype;
        header.big_endian = order == '>' && !one_byte;
        return;
      }
    }
    refuse_npy(where_,
               fmt::format("holds {} (descr '{}'); booleans, integers, float16, float32 and "
                           "float64 can be read, so convert it with astype() before saving",
                           kind_of(type), descr));
  }
  static const char* kind_of(const std::string& type) {
    switch (type.empty() ? ' ' : type[0]) {
      case 'O':
        return "Python objects";
      case 'S':
      case 'U':
      case 'a':
        return "texts";
      case 'c':
        return "complex numbers";
      case 'f':
        return "floats of another size";
      case 'M':
      case 'm':
        return "dates or time spans";
      case 'V':
        return "raw bytes (bfloat16 is saved so)";
      default:
        return "an unknown element type";
    }
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

NpyHeader parse_header(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!file.starts_with(kMagic) || file.size() < 10) {
    refuse_npy(where, "does not start like an .npy file (\\x93NUMPY, a version and a length)");
  }
  const int version = static_cast<unsigned char>(file[6]);
  if (version < 1 || version > 3) {
    refuse_npy(where, fmt::format("has .npy version {}; versions 1 to 3 can be read", version));
  }
  const size_t length_bytes = version == 1 ? 2 : 4;
  uint32_t length = 0;
  const size_t begin = kMagic.size() + 2 + length_bytes;
  if (file.size() < begin) refuse_npy(where, "is cut off in the length of its header");
  std::memcpy(&length, file.data() + kMagic.size() + 2, length_bytes);
  if (length > kLongestNpyHeader || length > file.size() - begin) {
    refuse_npy(where,
               fmt::format("claims a header of {} bytes, but {} bytes follow and {} are allowed",
                           length, file.size() - begin, kLongestNpyHeader));
  }
  NpyHeader header;
  HeaderParser(file.substr(begin, length), where).parse(header);
  header.data_begin = begin + length;
  header.data_bytes = byte_count(*header.dtype, *header.shape, where + ":");
  return header;
}

void swap_bytes(std::span<std::byte> bytes, size_t size) {
  for (size_t i = 0; i < bytes.size(); i += size) std::ranges::reverse(bytes.subspan(i, size));
}

// Fortran order has the first index running fastest; `to` gets the last one running fastest.
void transpose(std::span<const std::byte> from, const std::vector<int64_t>& shape, size_t size,
               std::span<std::byte> to) {
  std::vector<int64_t> strides(shape.size()), index(shape.size());
  int64_t stride = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  int64_t source = 0;
  for (size_t target = 0; target < to.size(); target += size) {
    std::memcpy(to.data() + target, from.data() + static_cast<size_t>(source) * size, size);
    for (size_t i = shape.size(); i-- > 0;) {
      source += strides[i];
      if (++index[i] < shape[i]) break;
      source -= shape[i] * strides[i];
      index[i] = 0;
    }
  }
}

}  // namespace

uint64_t npy_file_bytes(std::span<const std::byte> bytes, const std::string& where) {
  const NpyHeader header = parse_header(bytes, where);
  return header.data_begin + static_cast<uint64_t>(header.data_bytes);
}

Array parse_npy(std::span<const std::byte> bytes, std::shared_ptr<const void> keeper,
                const std::string& where) {
  const NpyHeader header = parse_header(bytes, where);
  const auto data = bytes.subspan(header.data_begin);
  const auto needed = static_cast<size_t>(header.data_bytes);
  if (data.size() != needed) {
    refuse_npy(
        where,
        fmt::format("has {} bytes of data, but {} of shape {} needs {}; {}", data.size(),
                    numpy_name(*header.dtype).substr(1), shape_text(*header.shape), needed,
                    data.size() < needed ? "the file is cut off" : "one file must hold one array"));
  }
  const bool reorder = *header.fortran_order && header.shape->size() > 1;
  if (!reorder && !header.big_endian) {
    return {*header.dtype, *header.shape, data, std::move(keeper)};
  }
  const auto size = static_cast<size_t>(element_size(*header.dtype));
  auto buffer = std::make_shared<std::vector<std::byte>>(data.begin(), data.end());
  if (reorder) transpose(data, *header.shape, size, *buffer);
  if (header.big_endian) swap_bytes(*buffer, size);
  return {*header.dtype, *header.shape, std::span<const std::byte>(*buffer), buffer};
}

Array read_npy(const std::filesystem::path& path) {
  const auto file = map_file(path);
  return parse_npy(file->bytes(), file, path.string());
}

std::string npy_header(const Array& array) {
  if (numpy_name(array.dtype).empty()) {
    throw Error(ErrorKind::usage, "numpy has no bfloat16: widen the array to float32 first");
  }
  if (byte_count(array.dtype, array.shape) != static_cast<int64_t>(array.bytes.size())) {
    throw Error(ErrorKind::usage, fmt::format("{} bytes do not fill the shape {}",
                                              array.bytes.size(), shape_text(array.shape)));
  }
  std::string shape;
  for (const int64_t size : array.shape) shape += fmt::format("{}, ", size);
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  if (array.shape.size() == 1) shape.resize(shape.size() - 1);  // "(3,)", as numpy writes it
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 numpy_name(array.dtype), shape);
  const size_t before = kMagic.size() + 4;
  const size_t whole = (before + text.size() + 1 + 63) / 64 * 64;
  text.append(whole - before - text.size() - 1, ' ');
  text.push_back('\n');
  std::string result(kMagic);
  result +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return result + text;
}

void write_npy(const std::filesystem::path& path, const Array& array) {
  const std::string header = npy_header(array);
  AtomicFile file(path, static_cast<int64_t>(header.size() + array.bytes.size()));
  file.write(header);
  file.write(array.bytes);
  file.commit();
}

}  // namespace headlight::tensorfile
