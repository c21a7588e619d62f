// The public checkpoints with golden values, and how their arrays are read.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "tensorfile/npy.h"

namespace headlight::testing {

inline std::map<std::string, at::Tensor> arrays(const std::filesystem::path& path) {
  std::map<std::string, at::Tensor> all;
  for (const auto& [name, array] : tensorfile::read_npz(path))
    all[name] = array.dtype == tensorfile::DType::i64
                    ? at::tensor(tensorfile::to_vector<int64_t>(array, name)).view(array.shape)
                    : at::tensor(tensorfile::to_vector<float>(array, name)).view(array.shape);
  return all;
}

inline auto public_models() {
  return ::testing::Values("tiny-bert", "tiny-roberta", "tiny-distilbert", "tiny-gpt2",
                           "tiny-llama", "tiny-qwen3", "tiny-mistral", "tiny-gpt-neox",
                           "tiny-gemma2", "tiny-gemma3", "tiny-marian", "tiny-bart", "tiny-t5",
                           "tiny-vit");
}

// "tiny-gpt-neox" as the name of a test: gptneox.
inline std::string short_name(const ::testing::TestParamInfo<std::string>& model) {
  std::string name = model.param.substr(5);
  std::erase(name, '-');
  return name;
}

}  // namespace headlight::testing
