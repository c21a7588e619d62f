#include "lab/head_analysis.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "heads/analysis_json.h"
#include "lab/attention_map.h"
#include "lab/captured_attention.h"
#include "train/evaluate.h"

namespace headlight::lab {
namespace {

model::Capture capture(const model::Transformer& transformer, const task::Batch& held_out,
                       int64_t sequences) {
  const at::NoGradGuard no_gradients;
  model::Capture captured;
  model::Pass pass;
  pass.capture = &captured;
  model::hidden(transformer, train::rows(train::inputs_of(held_out), 0, sequences), pass);
  return captured;
}

std::vector<uint8_t> real(const std::vector<int64_t>& lengths, int64_t sequence, int64_t size) {
  std::vector<uint8_t> valid;
  if (lengths.empty()) return valid;
  valid.assign(size_t(size), 0);
  std::fill_n(valid.begin(), lengths[size_t(sequence)], uint8_t{1});
  return valid;
}

// What the same places are as queries.
std::vector<uint8_t> held_out_queries(const model::Capture::Layer& layer,
                                      const task::Batch& held_out, int64_t sequence) {
  return real(layer.stack == "encoder" ? held_out.source_lengths : held_out.lengths, sequence,
              layer.q.size(2));
}

// None where an encoder reads images.
std::vector<int64_t> tokens_of(const task::Batch& held_out, const std::string& stack,
                               int64_t sequence) {
  if (stack == "encoder" && held_out.source.empty()) return {};
  const auto& all = stack == "encoder" ? held_out.source : held_out.inputs;
  const int64_t length = stack == "encoder" ? held_out.source_length : held_out.length;
  return {all.begin() + sequence * length, all.begin() + (sequence + 1) * length};
}

// A report is read by people and pages: numbers per key are left to `measure` and the checkpoint.
void drop_numbers_per_key(nlohmann::ordered_json& structure) {
  structure.erase("received");
  structure.erase("received_per_visible");
}

// Six significant digits: float32 attention holds one more, at twice the size.
void shorten(nlohmann::ordered_json& json) {
  if (json.is_structured()) {
    for (auto& part : json) shorten(part);
  } else if (json.is_number_float()) {
    const double value = json.get<double>();
    if (value == 0) return;
    const double unit = std::pow(10.0, 5 - std::floor(std::log10(std::abs(value))));
    if (std::isfinite(unit)) json = std::round(value * unit) / unit;
  }
}

}  // namespace

nlohmann::ordered_json layer_json(const std::string& stack, int64_t layer,
                                  const heads::PooledAnalysis& analysis) {
  nlohmann::ordered_json entry = {{"stack", stack}, {"layer", layer}};
  nlohmann::ordered_json found = heads::to_json(analysis);
  // One layer at a time: its flow is the only one.
  if (found.contains("flow")) found["flow"] = nlohmann::ordered_json(found["flow"].at(0));
  for (auto& head : found["structure"]) drop_numbers_per_key(head);
  if (found.contains("norm_weighted_structure"))
    for (auto& head : found["norm_weighted_structure"]) drop_numbers_per_key(head);
  drop_numbers_per_key(found["uniform_baseline"]);
  entry.update(found);
  shorten(entry);
  return entry;
}

nlohmann::ordered_json analyse_heads(const model::Transformer& transformer,
                                     const task::Batch& held_out, int64_t sequences) {
  sequences = std::min(sequences, held_out.size);
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  if (sequences == 0) return layers;
  for (const model::Capture::Layer& layer : capture(transformer, held_out, sequences).layers) {
    heads::Pool pool;
    for (int64_t sequence = 0; sequence < sequences; ++sequence) {
      heads::AnalysisOptions options;
      options.norm_weighted = false;
      if (layer.stack != "cross") options.tokens = tokens_of(held_out, layer.stack, sequence);
      const heads::Attention attention =
          attention_of(layer, sequence, held_out_queries(layer, held_out, sequence));
      pool.add(attention, options);
    }
    layers.push_back(layer_json(layer.stack, layer.layer, pool.finish()));
  }
  return layers;
}

nlohmann::ordered_json attention_maps(const model::Transformer& transformer, const task::Task& task,
                                      const task::Batch& held_out) {
  constexpr int64_t kLargest = 64;
  nlohmann::ordered_json maps = nlohmann::ordered_json::array();
  for (const model::Capture::Layer& layer : capture(transformer, held_out, 1).layers) {
    std::vector<std::string> tokens;
    if (layer.stack != "cross" && layer.q.size(2) <= kLargest)
      for (const int64_t symbol : tokens_of(held_out, layer.stack, 0))
        tokens.push_back(task.show(symbol));
    maps.push_back(attention_map(layer, 0, kLargest, tokens, {}));
  }
  return maps;
}

}  // namespace headlight::lab
