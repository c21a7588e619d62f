#include "tensorfile/safetensors_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "headlight/error.h"
#include "tensorfile/json_file.h"

namespace headlight::tensorfile {
namespace {

constexpr size_t kAlignment = 64;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::usage, what); }

int64_t bytes_of(const TensorShape& tensor) {
  return byte_count(tensor.dtype, tensor.shape, fmt::format("tensor '{}'", tensor.name));
}

// With the 8 bytes of its length in front.
std::string header_of(std::span<const TensorShape> tensors, const Metadata& metadata) {
  using Json = nlohmann::ordered_json;
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names = {"__metadata__"};
  int64_t offset = 0;
  for (const TensorShape& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      refuse(fmt::format("two tensors would be called '{}'", tensor.name));
    const int64_t bytes = bytes_of(tensor);
    // push_back into the ordered map: operator[] would search all names before it.
    header.get_ref<Json::object_t&>().push_back(
        {tensor.name, Json{{"dtype", std::string(safetensors_name(tensor.dtype))},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}}});
    offset += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& problem) {
    refuse(fmt::format("tensor names and metadata must be UTF-8: {}", json_problem(problem)));
  }
  text.resize((sizeof(uint64_t) + text.size() + kAlignment - 1) / kAlignment * kAlignment -
                  sizeof(uint64_t),
              ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

int64_t file_bytes(const std::string& header, std::span<const TensorShape> tensors) {
  auto total = static_cast<int64_t>(header.size());
  for (const TensorShape& tensor : tensors) total += bytes_of(tensor);
  return total;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<TensorShape> tensors, const Metadata& metadata)
    : tensors_(std::move(tensors)),
      header_(header_of(tensors_, metadata)),
      file_(path, file_bytes(header_, tensors_)) {
  file_.write(header_);
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  if (next_ == tensors_.size() || tensors_[next_].name != name)
    refuse(fmt::format("tensor '{}' is written where '{}' was declared", name,
                       next_ == tensors_.size() ? "the end" : tensors_[next_].name));
  if (bytes_of(tensors_[next_]) != static_cast<int64_t>(bytes.size()))
    refuse(fmt::format("tensor '{}' has {} bytes, but {} of shape {} needs {}", name, bytes.size(),
                       safetensors_name(tensors_[next_].dtype), shape_text(tensors_[next_].shape),
                       bytes_of(tensors_[next_])));
  file_.write(bytes);
  ++next_;
}

void SafetensorsWriter::commit() {
  if (next_ != tensors_.size())
    refuse(fmt::format("tensor '{}' was declared but not written", tensors_[next_].name));
  file_.commit();
}

void write_safetensors(const std::filesystem::path& path, std::span<const NamedArray> tensors,
                       const Metadata& metadata) {
  std::vector<TensorShape> shapes;
  for (const auto& [name, array] : tensors) {
    shapes.push_back({name, array.dtype, array.shape});
    // Before a file is begun.
    if (bytes_of(shapes.back()) != static_cast<int64_t>(array.bytes.size()))
      refuse(fmt::format("tensor '{}' has {} bytes, but {} of shape {} needs {}", name,
                         array.bytes.size(), safetensors_name(array.dtype), shape_text(array.shape),
                         bytes_of(shapes.back())));
  }
  SafetensorsWriter writer(path, std::move(shapes), metadata);
  for (const auto& [name, array] : tensors) writer.write(name, array.bytes);
  writer.commit();
}

}  // namespace headlight::tensorfile
