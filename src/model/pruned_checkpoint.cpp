#include "model/pruned_checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "headlight/error.h"
#include "model/architecture/architecture.h"
#include "model/checkpoint.h"
#include "model/cut_heads.h"
#include "model/pruned_record.h"
#include "model/tensor_intake.h"
#include "model/uniform_heads.h"
#include "tensorfile/json_file.h"
#include "tensorfile/safetensors_writer.h"

namespace headlight::model {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;
using tensorfile::Array;
using tensorfile::DType;

// A tensor of the new file: an array of the old one, or numbers.
struct Entry {
  std::string name;
  const Array* same = nullptr;
  at::Tensor numbers;  // float32, contiguous
  DType dtype = DType::f32;
};

at::ScalarType type_of(DType dtype) {
  return dtype == DType::f16    ? at::kHalf
         : dtype == DType::bf16 ? at::kBFloat16
         : dtype == DType::f64  ? at::kDouble
                                : at::kFloat;
}

// The type of the file where it holds these numbers exactly.
Entry with_numbers(std::string name, const at::Tensor& tensor, DType dtype) {
  const at::Tensor exact = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  const bool fits = at::equal(exact.to(type_of(dtype)).to(at::kFloat), exact);
  return {std::move(name), nullptr, exact, fits ? dtype : DType::f32};
}

TensorNames names_of(const std::string& type, const Transformer& model,
                     const tensorfile::TensorFile& file) {
  TensorNames names([&](const std::string& name) { return file.contains(name); });
  if (const Architecture* const architecture = find_architecture(type))
    architecture->tensors(model, names);
  else
    for (const NamedTensor& p : parameters(model)) names.add(p.name, p.tensor);
  return names;
}

bool same_bytes(const Array& a, const Array& b) {
  return a.shape == b.shape && a.bytes.size() == b.bytes.size() &&
         std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

// The tensors of the file, those that the model has replaced by its own where they differ.
std::vector<Entry> entries_like(const tensorfile::TensorFile& file, const TensorNames& before,
                                const TensorNames& after) {
  std::vector<Entry> entries;
  std::set<std::string> used;
  for (size_t i = 0; i < after.all().size(); ++i) {
    const TensorName &old = before.all()[i], &own = after.all()[i];
    const std::string name = found_name(file, old.name);
    used.insert(name);
    const Array& array = file.at(name);
    if (at::equal(old.view, own.view))
      entries.push_back({name, &array, {}, array.dtype});
    else
      entries.push_back(
          with_numbers(name, (own.view.detach() - own.added).reshape(own.shape), array.dtype));
  }
  // Buffers and parts that are not ours stay; copies of tied weights could tell another story.
  const auto is_copy = [&](const Array& array) {
    return std::ranges::any_of(
        used, [&](const std::string& name) { return same_bytes(file.at(name), array); });
  };
  for (const auto& [name, array] : file.tensors)
    if (!used.contains(name) && !is_copy(array)) entries.push_back({name, &array, {}, array.dtype});
  return entries;
}

// Under our own names: in the type that most of the file's numbers have.
std::vector<Entry> own_entries(const tensorfile::TensorFile& file, const Transformer& model) {
  std::map<DType, int64_t> counts;
  for (const auto& [name, array] : file.tensors)
    if (tensorfile::is_floating(array.dtype)) counts[array.dtype] += array.elements();
  DType usual = DType::f32;
  for (const auto& [dtype, count] : counts)
    if (dtype != DType::f64 && count > counts[usual]) usual = dtype;
  std::vector<Entry> entries;
  for (const NamedTensor& p : parameters(model))
    entries.push_back(with_numbers(p.name, p.tensor, usual));
  return entries;
}

void write(const std::vector<Entry>& entries, const tensorfile::Metadata& metadata,
           const fs::path& path) {
  std::vector<tensorfile::TensorShape> shapes;
  for (const Entry& entry : entries)
    shapes.push_back(
        {entry.name, entry.dtype, entry.same ? entry.same->shape : entry.numbers.sizes().vec()});
  tensorfile::SafetensorsWriter writer(path, std::move(shapes), metadata);
  for (const Entry& entry : entries) {
    if (entry.same) {
      writer.write(entry.name, entry.same->bytes);
      continue;
    }
    const at::Tensor typed = entry.numbers.to(type_of(entry.dtype));
    writer.write(entry.name, {static_cast<const std::byte*>(typed.const_data_ptr()),
                              static_cast<size_t>(typed.nbytes())});
  }
  writer.commit();
}

void add_record(Json& config, const Json& before, const Pruned& pruned, PrunedKind kind) {
  Json history = before.contains(kPrunedRecord) && before.at(kPrunedRecord).is_array()
                     ? before.at(kPrunedRecord)
                     : Json::array();
  Json removed = Json::array();
  for (const HeadPlace& place : pruned.heads) removed.push_back(name_of(place));
  history.push_back(
      {{"from", pruned.from.string()}, {"kind", name_of(kind)}, {"removed", removed}});
  config[kPrunedRecord] = history;
}

}  // namespace

const char* name_of(PrunedKind kind) {
  return kind == PrunedKind::compact   ? "compact"
         : kind == PrunedKind::uniform ? "uniform"
                                       : "zeroed";
}

void check_kind(PrunedKind kind, const std::string& model_type) {
  if (kind == PrunedKind::uniform) head_keys(model_type);
}

void write_pruned(const Pruned& pruned, PrunedKind kind, const fs::path& folder) {
  const Json before = tensorfile::read_ordered_json_file(pruned.from / "config.json");
  const auto type = before.at("model_type").get<std::string>();
  const tensorfile::TensorFile file = tensorfile::read_model_tensors(pruned.from);
  const fs::path weights = folder / "model.safetensors";
  Json config = before;
  if (kind == PrunedKind::compact) {
    config = Json(to_json(pruned.cut.config));
    if (before.contains(kClassNames)) config[kClassNames] = before.at(kClassNames);
    write(own_entries(file, pruned.cut), {{"format", "pt"}}, weights);
  } else {
    if (pruned.original.config.shared_layers)
      throw Error(ErrorKind::usage,
                  fmt::format("{}: its layers share their weights, so a layer without some of its "
                              "heads cannot be written in its form; --kind compact gives layers "
                              "weights of their own",
                              pruned.from.string()));
    Transformer model = pruned.cut;
    if (kind == PrunedKind::zeroed) {
      model = put_back(pruned.cut, pruned.original, pruned.heads);
    } else {
      const HeadKeys& keys = head_keys(type);
      model = with_uniform_heads(std::move(model), keys);
      config[keys.heads] = model.config.heads;
      if (keys.kv_heads) config[keys.kv_heads] = model.config.kv_heads;
      config[keys.head_dim] = model.config.head_dim;
      config.erase("pruned_heads");  // of transformers 4, as the larger model had them
    }
    write(entries_like(file, names_of(type, pruned.original, file), names_of(type, model, file)),
          file.metadata.empty() ? tensorfile::Metadata{{"format", "pt"}} : file.metadata, weights);
  }
  add_record(config, before, pruned, kind);
  tensorfile::write_file_atomically(folder / "config.json", config.dump(2) + "\n");
  copy_beside_weights(pruned.from, folder);
}

int64_t weight_bytes(const fs::path& folder) {
  if (fs::exists(folder / "model.safetensors"))
    return static_cast<int64_t>(fs::file_size(folder / "model.safetensors"));
  const fs::path index = folder / "model.safetensors.index.json";
  const nlohmann::json json = tensorfile::read_json_file(index);
  std::set<std::string> shards;
  for (const auto& [name, shard] : json.at("weight_map").items()) shards.insert(shard);
  int64_t bytes = 0;
  for (const std::string& shard : shards)
    bytes += static_cast<int64_t>(fs::file_size(folder / shard));
  return bytes;
}

}  // namespace headlight::model
