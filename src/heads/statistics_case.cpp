#include "heads/statistics_case.h"

#include "headlight/splitmix64.h"
#include "heads/case_arrays.h"
#include "heads/parameter_count.h"
#include "heads/spearman.h"
#include "heads/verdict.h"
#include "tensorfile/npy.h"

namespace headlight::heads {
namespace {

namespace fs = std::filesystem;

ParameterPlan plan_of(const nlohmann::json& model, const fs::path& folder) {
  if (!model.is_object())
    refuse_input(folder / "case.json", "\"models\" must hold an object per model");
  require_known_keys(
      model,
      {"vocab", "positions", "d_model", "layers", "heads", "kv_heads", "head_dim", "ffn",
       "attention_bias", "ffn_bias", "gated", "final_norm", "tied", "head_bias", "norm"},
      folder);
  ParameterPlan plan;
  const auto number = [&](const char* key, int64_t& into) {
    if (model.contains(key)) into = case_number(model, key, folder);
  };
  const auto flag = [&](const char* key, bool& into) {
    if (!model.contains(key)) return;
    if (!model[key].is_boolean())
      refuse_input(folder / "case.json", "\"" + std::string(key) + "\" must be true or false");
    into = model[key];
  };
  number("vocab", plan.vocabulary);
  number("positions", plan.positions);
  number("d_model", plan.dim);
  number("layers", plan.layers);
  number("heads", plan.heads);
  number("kv_heads", plan.kv_heads);
  number("head_dim", plan.head_dim);
  number("ffn", plan.ffn);
  flag("attention_bias", plan.attention_bias);
  flag("ffn_bias", plan.ffn_bias);
  flag("gated", plan.gated);
  flag("final_norm", plan.final_norm);
  flag("tied", plan.tied);
  flag("head_bias", plan.output_bias);
  if (model.contains("norm")) {
    if (model["norm"] != "rms" && model["norm"] != "layer")
      refuse_input(folder / "case.json", R"("norm" must be "rms" or "layer")");
    plan.layer_norm = model["norm"] == "layer";
  }
  if (plan.heads < 1 || (plan.head_dim == 0 && plan.dim % plan.heads != 0))
    refuse_input(folder / "case.json", "d_model " + std::to_string(plan.dim) +
                                           " does not divide by " + std::to_string(plan.heads) +
                                           " heads");
  return plan;
}

std::vector<double> numbers(const fs::path& folder, const std::string& name) {
  return tensorfile::to_vector<double>(read_case_array(folder, name, 1),
                                       case_file(folder, name).string());
}

Interval interval_of(const fs::path& folder, const std::string& name, int64_t replicates,
                     uint64_t seed) {
  const fs::path file = case_file(folder, name);
  const tensorfile::Array array = tensorfile::read_npy(file);
  const std::vector<double> values = tensorfile::to_vector<double>(array, file.string());
  if (array.shape.size() == 1) return paired_bootstrap(values, replicates, seed);
  if (array.shape.size() != 2) refuse_input(file, "differences must be [items] or [seeds, items]");
  std::vector<std::vector<double>> rows;
  for (int64_t s = 0; s < array.dim(0); ++s)
    rows.emplace_back(values.begin() + s * array.dim(1), values.begin() + (s + 1) * array.dim(1));
  return two_level_bootstrap(rows, replicates, seed);
}

}  // namespace

bool is_statistics_case(const fs::path& folder) {
  return read_case(folder).contains("bootstrap_seeds");
}

StatisticsCase read_statistics_case(const fs::path& folder) {
  const nlohmann::json about = read_case(folder);
  if (!about["bootstrap_seeds"].is_object())
    refuse_input(folder / "case.json", "\"bootstrap_seeds\" must be an object");
  require_known_keys(about, {"replicates", "bootstrap_seeds", "margin", "models"}, folder);
  StatisticsCase result;
  const int64_t replicates = case_number(about, "replicates", folder);
  bool first = true;
  for (const auto& [name, value] : about["bootstrap_seeds"].items()) {
    const auto seed = static_cast<uint64_t>(case_number(about["bootstrap_seeds"], name, folder));
    result.intervals.emplace_back(name, interval_of(folder, name, replicates, seed));
    if (first) {
      SplitMix64 random(seed);
      for (double& u : result.splitmix_first) u = random.uniform();
    }
    first = false;
  }
  if (has_case_array(folder, "x") && has_case_array(folder, "y"))
    result.spearman = spearman(numbers(folder, "x"), numbers(folder, "y"));
  if (about.contains("models"))
    for (const auto& [name, model] : about["models"].items())
      result.parameters.emplace_back(name, parameter_count(plan_of(model, folder)));
  if (about.contains("margin")) {
    if (!about["margin"].is_number())
      refuse_input(folder / "case.json", "\"margin\" must be a number");
    for (const auto& [name, interval] : result.intervals)
      result.verdicts.emplace_back(name, verdict(interval.low, interval.high, about["margin"]));
  }
  return result;
}

}  // namespace headlight::heads
