#include "lab/ranking_state.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/json_file.h"

namespace headlight::lab {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSchema = "headlight.rank-state/1";
constexpr int64_t kMostStateBytes = int64_t{8} << 30;

void mix(uint64_t& print, const void* data, size_t bytes) {
  const auto* from = static_cast<const char*>(data);
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, from + at, std::min(bytes - at, sizeof word));
    print = SplitMix64::finalized(print ^ word) + SplitMix64::kGamma;
  }
}

void mix(uint64_t& print, const at::Tensor& tensor) {
  const int64_t size = tensor.defined() ? tensor.numel() : -1;
  mix(print, &size, sizeof size);
  if (size < 1) return;
  const at::Tensor whole = tensor.detach().cpu().contiguous();
  mix(print, whole.const_data_ptr(), whole.nbytes());
}

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::bad_input,
              fmt::format("{}: {}; name another file, or remove this one to begin anew",
                          path.string(), what));
}

std::vector<double> numbers(const nlohmann::json& list) { return list.get<std::vector<double>>(); }

}  // namespace

uint64_t fingerprint(const model::Transformer& model, const std::vector<Example>& examples) {
  uint64_t print = 0;
  const std::string config = model::to_json(model.config).dump();
  mix(print, config.data(), config.size());
  for (const model::NamedTensor& one : model::parameters(model)) mix(print, one.tensor);
  for (const Example& example : examples) {
    const model::Inputs& in = example.inputs;
    for (const at::Tensor& tensor : {in.tokens, in.lengths, in.source, in.source_lengths, in.mask,
                                     in.source_mask, in.token_types, in.pixels, example.labels})
      mix(print, tensor);
  }
  return print;
}

void save(const RankingState& state, uint64_t print, const fs::path& path) {
  nlohmann::json losses = nlohmann::json::object();
  for (const auto& [removed, found] : state.losses) {
    losses[removed]["loss"] = found.loss;
    if (!found.nats.empty()) losses[removed]["nats"] = found.nats;
  }
  const nlohmann::json json = {{"schema", kSchema},
                               {"print", fmt::format("{:016x}", print)},
                               {"gradients", state.gradients},
                               {"losses", std::move(losses)}};
  tensorfile::write_file_atomically(path, json.dump() + "\n");
}

RankingState load_ranking_state(const fs::path& path, uint64_t print) {
  RankingState state;
  if (!fs::exists(path)) return state;
  const nlohmann::json json = tensorfile::read_json_file(path, kMostStateBytes);
  if (!json.is_object() || !json.contains("schema") || json["schema"] != kSchema)
    refuse(path, "is no state of headlight rank");
  try {
    if (json.at("print") != fmt::format("{:016x}", print))
      refuse(path, "belongs to another model or other data");
    for (const nlohmann::json& example : json.at("gradients"))
      state.gradients.push_back(numbers(example));
    for (const auto& [removed, found] : json.at("losses").items())
      state.losses[removed] = {found.at("loss"), found.contains("nats") ? numbers(found["nats"])
                                                                        : std::vector<double>()};
  } catch (const nlohmann::json::exception& problem) {
    refuse(path, "is a damaged state of headlight rank: " + tensorfile::json_problem(problem));
  }
  return state;
}

}  // namespace headlight::lab
