// A safetensors file that is written tensor by tensor, for what does not fit into memory at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensorfile/atomic_file.h"
#include "tensorfile/safetensors.h"

namespace headlight::tensorfile {

struct TensorShape {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
};

// The header comes first, so names, types and shapes must be known before any number is. Nothing is
// there under the final name until commit(). Throws Error: usage for a name given twice, for a
// tensor that is not the next one declared or has not its bytes, and for a commit before the last
// one; and as AtomicFile.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorShape> tensors,
                    const Metadata& metadata = {});
  // In the order in which they were declared.
  void write(std::string_view name, std::span<const std::byte> bytes);
  void commit();

 private:
  std::vector<TensorShape> tensors_;
  std::string header_;
  AtomicFile file_;
  size_t next_ = 0;
};

}  // namespace headlight::tensorfile
