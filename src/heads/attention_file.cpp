#include <algorithm>
#include <string>

#include "headlight/error.h"
#include "heads/attention_files.h"
#include "tensorfile/npy.h"
#include "tensorfile/safetensors.h"

namespace headlight::heads {
namespace {

namespace fs = std::filesystem;
using tensorfile::Array;

[[noreturn]] void refuse(const fs::path& file, const std::string& message) {
  throw Error(ErrorKind::bad_input, file.string() + ": " + message);
}

// The array called `name`, or the only one of the archive.
template <typename Arrays>
Array choose(const fs::path& file, const Arrays& arrays, const std::string& name) {
  if (const auto found = arrays.find(name); found != arrays.end()) return found->second;
  if (name.empty() && arrays.size() == 1) return arrays.begin()->second;
  if (arrays.empty()) refuse(file, "holds no array; one with attention probabilities is needed");
  std::string known;
  int listed = 0;
  for (const auto& [key, array] : arrays) {
    if (++listed > 8) {
      known += ", …";
      break;
    }
    known += (known.empty() ? "" : ", ") + key;
  }
  refuse(file, (name.empty() ? "name one of its arrays with --array: "
                             : "there is no array \"" + name + "\"; it holds ") +
                   known);
}

Array read_array(const fs::path& file, const std::string& name) {
  const std::string extension = file.extension().string();
  if (extension == ".npy") return tensorfile::read_npy(file);
  if (extension == ".npz") return choose(file, tensorfile::read_npz(file), name);
  if (extension == ".safetensors")
    return choose(file, tensorfile::read_safetensors(file).tensors, name);
  refuse(file,
         "attention is read from .npy, .npz and .safetensors files, or from a folder with "
         "a case.json");
}

bool aligned(const Array& array, size_t size) {
  return reinterpret_cast<uintptr_t>(array.bytes.data()) % size == 0;
}

// [batch, heads, queries, keys] in place where it can be, as float or double.
struct Weights {
  const float* floats = nullptr;
  const double* doubles = nullptr;
  std::shared_ptr<const void> keeper;
};

Weights weights_of(const fs::path& file, const Array& array) {
  if (array.dtype == tensorfile::DType::f32 && aligned(array, sizeof(float)))
    return {reinterpret_cast<const float*>(array.bytes.data()), nullptr, array.keeper};
  if (array.dtype == tensorfile::DType::f64 && aligned(array, sizeof(double)))
    return {nullptr, reinterpret_cast<const double*>(array.bytes.data()), array.keeper};
  if (!tensorfile::is_floating(array.dtype))
    refuse(file, "probabilities must be floating point numbers");
  if (array.dtype == tensorfile::DType::f64) {
    auto kept =
        std::make_shared<std::vector<double>>(tensorfile::to_vector<double>(array, file.string()));
    return {nullptr, kept->data(), kept};
  }
  auto kept =
      std::make_shared<std::vector<float>>(tensorfile::to_vector<float>(array, file.string()));
  return {kept->data(), nullptr, kept};
}

}  // namespace

bool leaves_no_key(const std::vector<int64_t>& excluded, int64_t keys) {
  for (int64_t key = 0; key < keys; ++key)
    if (std::find(excluded.begin(), excluded.end(), key) == excluded.end()) return false;
  return true;
}

std::vector<LoadedSequence> read_attention_file(const fs::path& file,
                                                const AttentionFileOptions& options) {
  const Array array = read_array(file, options.name);
  const std::string shape = tensorfile::shape_text(array.shape);
  const size_t rank = array.shape.size();
  if (rank != 3 && rank != 4)
    refuse(file, "shape " + shape + " where [heads, N, N] or [batch, heads, N, N] is needed");
  const int64_t batch = rank == 4 ? array.dim(0) : 1;
  const int64_t heads = array.dim(rank - 3), queries = array.dim(rank - 2);
  const int64_t keys = array.dim(rank - 1);
  if (batch < 1 || heads < 1 || queries < 1 || keys < 1)
    refuse(file, "shape " + shape + " is empty");
  if (queries != keys && !options.cross && options.query_offset == 0)
    refuse(file, "shape " + shape +
                     " is not square; say --cross for attention between different "
                     "tokens, or --offset for queries behind a cache");
  if (!options.lengths.empty() && static_cast<int64_t>(options.lengths.size()) != batch)
    refuse(file, std::to_string(options.lengths.size()) + " lengths for " + std::to_string(batch) +
                     " sequences");
  if (leaves_no_key(options.exclude, keys))
    refuse(file, "--exclude names every one of its " + std::to_string(keys) +
                     " keys; at least one must be left");
  const Weights weights = weights_of(file, array);

  std::vector<LoadedSequence> sequences;
  for (int64_t b = 0; b < batch; ++b) {
    LoadedSequence sequence;
    sequence.keepers.push_back(weights.keeper);
    Attention& attention = sequence.attention;
    attention.heads = heads;
    attention.queries = queries;
    attention.keys = keys;
    attention.cross = options.cross;
    Visibility& visibility = attention.visibility;
    visibility.causal = options.causal;
    visibility.window = options.window;
    visibility.query_offset = options.query_offset;
    if (!options.lengths.empty()) {
      const int64_t length = options.lengths[b];
      if (length < 1 || length > keys)
        refuse(file, "length " + std::to_string(length) + " of sequence " + std::to_string(b) +
                         " is not between 1 and " + std::to_string(keys));
      visibility.key_valid.assign(keys, 0);
      std::fill_n(visibility.key_valid.begin(), length, 1);
      if (!options.cross) {
        visibility.query_valid.assign(queries, 0);
        std::fill_n(visibility.query_valid.begin(),
                    std::clamp<int64_t>(length - options.query_offset, 0, queries), 1);
      }
    }
    const int64_t offset = b * heads * queries * keys;
    if (weights.floats)
      attention.float_probabilities = Probabilities<float>{weights.floats + offset, queries * keys,
                                                           keys, options.may_sum_to_less};
    else
      attention.double_probabilities = Probabilities<double>{
          weights.doubles + offset, queries * keys, keys, options.may_sum_to_less};
    sequence.options.layers = options.layers;
    sequence.options.sink = options.sink;
    sequence.options.separators = options.separators;
    sequence.options.exclude = options.exclude;
    sequence.options.tokens = options.tokens;
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

}  // namespace headlight::heads
