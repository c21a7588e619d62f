#include "model/tensor_intake.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <optional>
#include <set>

#include "headlight/error.h"

namespace headlight::model {
namespace {

using tensorfile::Array;
using tensorfile::DType;

std::optional<at::ScalarType> floating_type(DType type) {
  switch (type) {
    case DType::f16:
      return at::kHalf;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f32:
      return at::kFloat;
    case DType::f64:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

// The file's own memory as a tensor, or a copy where it is not aligned.
at::Tensor tensor_of(const Array& array, at::ScalarType type, const std::vector<int64_t>& shape) {
  const auto address = reinterpret_cast<uintptr_t>(array.bytes.data());
  if (!array.bytes.empty() && address % c10::elementSize(type) == 0)
    return at::from_blob(const_cast<std::byte*>(array.bytes.data()), shape, type);
  at::Tensor copy = at::empty(shape, type);
  if (!array.bytes.empty()) std::memcpy(copy.data_ptr(), array.bytes.data(), array.bytes.size());
  return copy;
}

// Finite numbers can only sum to a number or overflow, so that one sum clears most tensors.
bool all_finite(const at::Tensor& tensor) {
  if (tensor.numel() == 0 || std::isfinite(tensor.sum().item<double>())) return true;
  return at::isfinite(tensor).all().item<bool>();
}

std::string list_of(const char* what, const std::vector<std::string>& names) {
  return names.empty() ? "" : fmt::format("\n  {}: {}", what, fmt::join(names, ", "));
}

}  // namespace

std::string found_name(const tensorfile::TensorFile& file, const std::string& name) {
  if (file.contains(name)) return name;
  for (const auto& [ending, old] : {std::pair{".weight", ".gamma"}, {".bias", ".beta"}})
    if (name.ends_with(ending)) {
      std::string other = name.substr(0, name.size() - std::strlen(ending)) + old;
      if (file.contains(other)) return other;
    }
  return "";
}

void take(const tensorfile::TensorFile& file, const TensorNames& names) {
  c10::NoGradGuard no_grad;
  std::vector<std::string> missing, wrong, not_finite, extra;
  std::set<std::string> used;
  for (const TensorName& tensor : names.all()) {
    const std::string name = found_name(file, tensor.name);
    if (name.empty()) {
      missing.push_back(tensor.name);
      continue;
    }
    used.insert(name);
    const Array& array = file.at(name);
    const auto type = floating_type(array.dtype);
    if (array.shape != tensor.shape || !type) {
      wrong.push_back(fmt::format("{} is {} {} (expected {} of floating point)", name,
                                  tensorfile::safetensors_name(array.dtype),
                                  tensorfile::shape_text(array.shape),
                                  tensorfile::shape_text(tensor.shape)));
      continue;
    }
    tensor.view.detach().copy_(tensor_of(array, *type, tensor.view.sizes().vec()));
    if (!all_finite(tensor.view.detach())) not_finite.push_back(name);
    if (tensor.added != 0) tensor.view.detach().add_(tensor.added);
  }
  for (const auto& [name, array] : file.tensors)
    if (!used.contains(name) && !names.is_ignored(name)) extra.push_back(name);
  if (missing.empty() && wrong.empty() && extra.empty() && not_finite.empty()) return;
  const bool fits = missing.empty() && wrong.empty() && extra.empty();
  throw Error(
      ErrorKind::bad_input,
      fmt::format(
          "{}: {}{}{}{}{}", file.path.string(),
          fits ? "the weights are damaged" : "the tensors are not those that config.json describes",
          list_of("missing", missing), list_of("of another shape", wrong),
          list_of("not part of the model", extra), list_of("holding NaN or infinity", not_finite)));
}

}  // namespace headlight::model
