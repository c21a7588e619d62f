#include "model/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "headlight/error.h"
#include "model/architecture/architecture.h"
#include "model/parameters.h"
#include "model/tensor_intake.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/atomic_folder.h"
#include "tensorfile/json_file.h"
#include "tensorfile/safetensors.h"

namespace headlight::model {
namespace {

// Before memory for a model is taken: a config can claim any size.
void check_size(const Config& config, const tensorfile::TensorFile& file) {
  int64_t elements = 0;
  for (const auto& [name, array] : file.tensors) elements += array.elements();
  if (const int64_t count = parameter_count(config); count > 2 * elements + 1'000'000)
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: config.json describes {} parameters, the file holds {} numbers",
                            file.path.string(), count, elements));
}

// Pickled weights run code of whoever made them, so they are left to those who trust it.
void refuse_pickles(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder / "model.safetensors", error) ||
      std::filesystem::exists(folder / "model.safetensors.index.json", error))
    return;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string ending = entry.path().extension().string();
    if (ending != ".bin" && ending != ".pt" && ending != ".pth") continue;
    const std::string path = folder.string();
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{}: weights pickled by PyTorch are not read, because reading them runs code; "
                    "convert them where transformers is installed: python -c \"from transformers "
                    "import AutoConfig; import transformers as t; c = "
                    "AutoConfig.from_pretrained('{}'); getattr(t, "
                    "c.architectures[0]).from_pretrained('{}').save_pretrained('{}-safetensors')\"",
                    entry.path().string(), path, path, path));
  }
}

void write_model(const std::vector<NamedTensor>& tensors, const nlohmann::ordered_json& config,
                 const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: cannot create the folder: {}", folder.string(), error.message()));
  std::vector<at::Tensor> kept;  // the arrays below point into these
  std::vector<tensorfile::NamedArray> arrays;
  for (const NamedTensor& p : tensors) {
    kept.push_back(p.tensor.detach().to(at::kCPU, at::kFloat).contiguous());
    arrays.push_back({p.name, tensorfile::view_array(tensorfile::DType::f32, p.tensor.sizes().vec(),
                                                     kept.back().const_data_ptr())});
  }
  tensorfile::write_safetensors(folder / "model.safetensors", arrays, {{"format", "pt"}});
  tensorfile::write_file_atomically(folder / "config.json", config.dump(2) + "\n");
}

// No weights in whatever form, which are written anew, and not how they were trained.
bool is_beside_weights(const std::filesystem::path& path) {
  static const std::set<std::string> kEndings = {".safetensors", ".bin",       ".pt",   ".pth",
                                                 ".ckpt",        ".h5",        ".onnx", ".msgpack",
                                                 ".gguf",        ".onnx_data", ".ot"};
  const std::string name = path.filename().string();
  return path != "config.json" && path != "run.json" &&
         !name.ends_with(".safetensors.index.json") && !name.ends_with(".bin.index.json") &&
         !kEndings.contains(path.extension().string());
}

TensorNames own_names(const Transformer& model, const tensorfile::TensorFile& file) {
  TensorNames names([&](const std::string& name) { return file.contains(name); });
  for (const NamedTensor& p : parameters(model)) names.add(p.name, p.tensor);
  return names;
}

}  // namespace

void save(const Transformer& model, const std::filesystem::path& folder,
          const std::vector<std::string>& classes) {
  nlohmann::json config = to_json(model.config);
  for (size_t i = 0; i < classes.size(); ++i) config[kClassNames][std::to_string(i)] = classes[i];
  write_model(parameters(model), config, folder);
}

void save_for_transformers(const Transformer& model, const std::filesystem::path& folder) {
  const nlohmann::json config = transformers_json(model.config);
  if (config.is_null()) return save(model, folder);
  save_as(config, model, folder);
}

Transformer load(const std::filesystem::path& folder) {
  const std::filesystem::path config_path = folder / "config.json";
  const nlohmann::json json = tensorfile::read_json_file(config_path);
  const std::string where = config_path.string();
  if (!json.is_object() || !json.contains("model_type") || !json.at("model_type").is_string())
    throw Error(ErrorKind::bad_input, where + ": \"model_type\" is missing");
  const auto type = json.at("model_type").get<std::string>();
  const Architecture* const architecture = find_architecture(type);
  if (!architecture && type != "headlight")
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: models of type \"{}\" cannot be read; these can: headlight, {}",
                            where, type, fmt::join(known_architectures(), ", ")));
  const ConfigReader reader(json, where);
  if (reader.has("quantization_config"))
    reader.refuse("quantization_config", "quantised weights are not supported");
  refuse_pickles(folder);
  const tensorfile::TensorFile file = tensorfile::read_model_tensors(folder);
  TensorNames names([&](const std::string& name) { return file.contains(name); });
  Config config;
  try {
    config = architecture ? completed(architecture->config(reader, names))
                          : config_from_json(json, where);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    throw Error(ErrorKind::bad_input, where + ": " + error.what());
  }
  check_size(config, file);
  Transformer model = unfilled(config);
  if (architecture) {
    architecture->tensors(model, names);
    take(file, names);
  } else {
    take(file, own_names(model, file));
  }
  return model;
}

std::vector<NamedTensor> tensors_in(const std::string& model_type, const Transformer& model,
                                    const std::function<bool(const std::string&)>& like) {
  const Architecture* const architecture = find_architecture(model_type);
  if (!architecture)
    throw Error(ErrorKind::usage, fmt::format("there is no architecture \"{}\"; there are {}",
                                              model_type, fmt::join(known_architectures(), ", ")));
  TensorNames names(like);
  architecture->tensors(model, names);
  std::vector<NamedTensor> all;
  for (const TensorName& tensor : names.all())
    all.push_back(
        {tensor.name, (tensor.view.detach() - tensor.added).reshape(tensor.shape).contiguous()});
  return all;
}

void save_as(const nlohmann::ordered_json& config, const Transformer& model,
             const std::filesystem::path& folder) {
  const auto is_written = [&](const std::string& tensor) {
    return is_written_by_transformers(tensor) ||
           (tensor == "qa_outputs.weight" && marks_spans(model.config));
  };
  write_model(tensors_in(config.at("model_type").get<std::string>(), model, is_written), config,
              folder);
}

Transformer with_new_output(const Transformer& model, const nlohmann::ordered_json& config,
                            uint64_t seed) {
  const nlohmann::json json = config;
  const Architecture* const architecture =
      find_architecture(json.at("model_type").get<std::string>());
  const TensorNames none([](const std::string&) { return false; });
  Transformer fresh =
      initialised(completed(architecture->config(ConfigReader(json, "config.json"), none)), seed);
  fresh.encoder = model.encoder;
  const Config &own = fresh.config, &old = model.config;
  if (own.transform && old.transform && own.transform_norm == old.transform_norm &&
      own.transform_activation == old.transform_activation && own.output_place == old.output_place)
    fresh.transform = model.transform;
  return fresh;
}

void copy_beside_weights(const std::filesystem::path& from, const std::filesystem::path& to) {
  tensorfile::copy_files(from, to, is_beside_weights);
}

std::vector<std::string> class_names(const std::filesystem::path& folder, int64_t classes) {
  const nlohmann::json config = tensorfile::read_json_file(folder / "config.json");
  const nlohmann::json named =
      config.is_object() ? config.value(kClassNames, nlohmann::json()) : nlohmann::json();
  std::vector<std::string> names;
  for (int64_t i = 0; i < classes; ++i) {
    const std::string number = std::to_string(i);
    const bool has = named.is_object() && named.contains(number) && named.at(number).is_string();
    names.push_back(has ? named.at(number).get<std::string>() : "LABEL_" + number);
  }
  return names;
}

}  // namespace headlight::model
