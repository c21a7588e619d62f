#include "tensorfile/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "tensorfile/mapped_file.h"
#include "tensorfile/safetensors_header.h"

namespace headlight::tensorfile {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLongestHeader = 100'000'000;  // the limit of the reference implementation

[[noreturn]] void refuse_safetensors(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: {}", path.string(), what));
}

std::string_view header_text(const fs::path& path, std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    refuse_safetensors(
        path, fmt::format("has {} bytes; a safetensors file starts with 8 bytes that hold the "
                          "length of its header",
                          file.size()));
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kLongestHeader) {
    refuse_safetensors(
        path, fmt::format("claims a header of {} bytes, more than the {} allowed; this is no "
                          "safetensors file, or it is damaged",
                          length, kLongestHeader));
  }
  if (length > file.size() - kLengthBytes) {
    refuse_safetensors(
        path, fmt::format("claims a header of {} bytes but only {} follow; the file is cut off "
                          "or damaged",
                          length, file.size() - kLengthBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (!text.starts_with('{')) refuse_safetensors(path, "the header does not start with '{'");
  return text;
}

// Every byte after the header belongs to exactly one tensor.
void check_layout(const fs::path& path, std::vector<TensorEntry>& entries, int64_t data_bytes) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t expected = 0;
  for (const TensorEntry& entry : entries) {
    const std::string name = fmt::format("tensor '{}'", entry.name);
    const int64_t bytes =
        byte_count(entry.dtype, entry.shape, fmt::format("{}: {}", path.string(), name));
    if (entry.begin > entry.end || entry.end > data_bytes) {
      refuse_safetensors(
          path, fmt::format("{} claims bytes {} to {} of {}; the file is cut off or damaged", name,
                            entry.begin, entry.end, data_bytes));
    }
    if (entry.end - entry.begin != bytes) {
      refuse_safetensors(path, fmt::format("{} holds {} bytes, but {} of shape {} needs {}", name,
                                           entry.end - entry.begin, safetensors_name(entry.dtype),
                                           shape_text(entry.shape), bytes));
    }
    if (entry.begin != expected) {
      refuse_safetensors(
          path, fmt::format("{} starts at byte {} where the one before it ends at {}; tensors "
                            "must neither overlap nor leave a gap",
                            name, entry.begin, expected));
    }
    expected = entry.end;
  }
  if (expected != data_bytes) {
    refuse_safetensors(path,
                       fmt::format("has {} bytes after its last tensor; nothing may follow it",
                                   data_bytes - expected));
  }
}

TensorFile read_shards(const fs::path& folder, const fs::path& index_path) {
  const nlohmann::json index = read_json_file(index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    refuse_safetensors(index_path,
                       "must hold an object 'weight_map' from tensor names to file names");
  }
  TensorFile result;
  result.path = index_path;
  std::map<std::string, TensorFile> shards;
  for (const auto& [name, file] : index["weight_map"].items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    // Only names, so that an index cannot point out of its folder.
    if (shard.empty() || fs::path(shard).filename() != shard || shard == "." || shard == "..") {
      refuse_safetensors(index_path,
                         fmt::format("weight_map sends tensor '{}' to {}; a file name in the same "
                                     "folder belongs there",
                                     name, file.dump()));
    }
    auto found = shards.find(shard);
    if (found == shards.end()) {
      if (!fs::exists(folder / shard)) {
        refuse_safetensors(folder / shard, fmt::format("is missing; {} needs it for tensor '{}'",
                                                       index_path.filename().string(), name));
      }
      found = shards.emplace(shard, read_safetensors(folder / shard)).first;
      result.metadata.insert(found->second.metadata.begin(), found->second.metadata.end());
    }
    result.tensors.emplace(name, found->second.at(name));
  }
  return result;
}

}  // namespace

const Array& TensorFile::at(std::string_view name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    refuse_safetensors(
        path,
        fmt::format("has no tensor '{}' among its {}{}", name, tensors.size(),
                    tensors.empty() ? "" : "; the first is '" + tensors.begin()->first + "'"));
  }
  return found->second;
}

TensorFile read_safetensors(const fs::path& path) {
  const auto file = map_file(path);
  const std::string_view text = header_text(path, file->bytes());
  TensorHeader header = parse_safetensors_header(text, path.string());
  const std::span<const std::byte> data = file->bytes().subspan(kLengthBytes + text.size());
  check_layout(path, header.entries, static_cast<int64_t>(data.size()));
  TensorFile result{path, {}, std::move(header.metadata)};
  for (TensorEntry& entry : header.entries) {
    const auto bytes = data.subspan(static_cast<size_t>(entry.begin),
                                    static_cast<size_t>(entry.end - entry.begin));
    result.tensors.emplace(std::move(entry.name),
                           Array{entry.dtype, std::move(entry.shape), bytes, file});
  }
  return result;
}

TensorFile read_model_tensors(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors";
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(single)) return read_safetensors(single);
  if (fs::exists(index)) return read_shards(folder, index);
  refuse_safetensors(folder, "has neither model.safetensors nor model.safetensors.index.json");
}

}  // namespace headlight::tensorfile
