#include "train/training_state.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cstring>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "tensorfile/safetensors.h"

namespace headlight::train {
namespace {

constexpr const char* kFirst = "adam.first.";
constexpr const char* kSecond = "adam.second.";
constexpr const char* kAverage = "average.";

tensorfile::NamedArray named(const std::string& name, const at::Tensor& tensor) {
  return {name, tensorfile::view_array(tensorfile::DType::f32, tensor.sizes().vec(),
                                       tensor.const_data_ptr())};
}

void fill(const at::Tensor& tensor, const tensorfile::TensorFile& file, const std::string& name) {
  const tensorfile::Array& array = file.at(name);
  if (array.dtype != tensorfile::DType::f32 || array.shape != tensor.sizes().vec())
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: tensor {} has shape {}, but this run needs F32 {}",
                            file.path.string(), name, tensorfile::shape_text(array.shape),
                            tensorfile::shape_text(tensor.sizes().vec())));
  const c10::NoGradGuard no_gradients;
  std::memcpy(tensor.mutable_data_ptr(), array.bytes.data(), array.bytes.size());
}

}  // namespace

void save_training(const std::filesystem::path& file, const nlohmann::json& identity,
                   const TrainingState& state, const std::vector<model::NamedTensor>& parameters,
                   const model::AdamState& moments,
                   const std::vector<model::NamedTensor>& averages) {
  std::vector<tensorfile::NamedArray> arrays;
  for (size_t i = 0; i < parameters.size(); ++i) {
    arrays.push_back(named(parameters[i].name, parameters[i].tensor));
    arrays.push_back(named(kFirst + parameters[i].name, moments.first[i]));
    arrays.push_back(named(kSecond + parameters[i].name, moments.second[i]));
  }
  for (const model::NamedTensor& average : averages)
    arrays.push_back(named(kAverage + average.name, average.tensor));
  std::filesystem::create_directories(file.parent_path());
  tensorfile::write_safetensors(
      file, arrays, {{"identity", identity.dump()}, {"state", nlohmann::json(state).dump()}});
}

bool load_training(const std::filesystem::path& path, const nlohmann::json& identity,
                   TrainingState& state, const std::vector<model::NamedTensor>& parameters,
                   model::AdamState& moments, const std::vector<model::NamedTensor>& averages) {
  if (!std::filesystem::exists(path)) return false;
  tensorfile::TensorFile file;
  try {
    file = tensorfile::read_safetensors(path);
  } catch (const Error& problem) {
    throw Error(problem.kind(),
                fmt::format("{}. Remove it to start this run again", problem.what()));
  }
  try {
    const nlohmann::json found = nlohmann::json::parse(file.metadata.at("identity"));
    for (const auto& [key, value] : identity.items())
      if (!found.contains(key) || found.at(key) != value)
        throw Error(
            ErrorKind::bad_input,
            fmt::format("{}: a checkpoint of another run: its {} is {}, not {}. Resume it "
                        "with its own settings, or choose another folder",
                        path.string(), key, found.contains(key) ? found.at(key).dump() : "absent",
                        value.dump()));
    state = nlohmann::json::parse(file.metadata.at("state")).get<TrainingState>();
  } catch (const Error&) {
    throw;
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: not a training checkpoint of headlight ({}). Remove it to start "
                            "this run again",
                            path.string(), tensorfile::json_problem(problem)));
  } catch (const std::out_of_range&) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: not a training checkpoint of headlight. Remove it to start this "
                            "run again",
                            path.string()));
  }
  moments.steps = state.step;
  for (size_t i = 0; i < parameters.size(); ++i) {
    fill(parameters[i].tensor, file, parameters[i].name);
    fill(moments.first[i], file, kFirst + parameters[i].name);
    fill(moments.second[i], file, kSecond + parameters[i].name);
  }
  for (const model::NamedTensor& average : averages)
    fill(average.tensor, file, kAverage + average.name);
  return true;
}

}  // namespace headlight::train
