#include "lab/inspection.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "heads/analysis_json.h"
#include "lab/attention_map.h"
#include "lab/captured_attention.h"
#include "lab/head_analysis.h"
#include "lab/sampled_rows.h"

namespace headlight::lab {
namespace {

constexpr int64_t kRepeats = 4, kDraws = 3;

using Number = std::optional<double> heads::Structure::*;
constexpr std::pair<const char*, Number> kWithIntervals[] = {
    {"entropy_relative", &heads::Structure::entropy_relative},
    {"confidence", &heads::Structure::confidence},
    {"first_token_mass", &heads::Structure::first_token_mass},
    {"previous_mass", &heads::Structure::previous_mass},
    {"self_mass", &heads::Structure::self_mass},
    {"distance_mean", &heads::Structure::distance_mean}};

struct Pooled {
  InspectedLayer result;
  heads::Pool pool;
  std::vector<std::vector<std::vector<double>>> values;  // [metric][head][example]
};

std::vector<int64_t> ids(const at::Tensor& row) {
  const at::Tensor whole = row.contiguous();
  const int64_t* id = whole.const_data_ptr<int64_t>();
  return {id, id + whole.numel()};
}

// Layers of one example as they go by.
class Examiner {
 public:
  Examiner(const InspectSettings& settings, bool spread) : settings_(settings), spread_(spread) {}

  void add(const model::Capture::Layer& layer, const Example& example) {
    const int64_t queries = layer.q.size(2);
    std::vector<uint8_t> rows = real_queries(layer, example.inputs);
    const bool sampled =
        settings_.rows_up_to > 0 && queries > std::max(settings_.rows_up_to, kSampledRows);
    int64_t left_out = 0;
    if (sampled) {
      const std::vector<uint8_t> all = std::move(rows);
      rows = sampled_rows(all, queries);
      left_out = (all.empty() ? queries : std::count(all.begin(), all.end(), 1)) -
                 std::count(rows.begin(), rows.end(), 1);
    }
    const heads::Attention attention = attention_of(layer, 0, rows);
    heads::AnalysisOptions options;
    options.threads = settings_.threads;
    options.flow = settings_.flow && !sampled;
    options.many_steps = attention.keys <= settings_.steps_up_to;
    sampled_some |= sampled;
    skipped_steps |= !options.many_steps && layer.stack != "cross";
    const bool source = layer.stack == "encoder" || layer.stack == "cross";
    const model::Inputs& in = example.inputs;
    const bool two = in.tokens.defined() && (in.source.defined() || in.pixels.defined());
    options.separators = source || !two ? example.separators : example.target_separators;
    options.exclude = options.separators;
    const at::Tensor& tokens = two && source ? in.source : in.tokens;
    if (layer.stack != "cross" && tokens.defined()) options.tokens = ids(tokens[0]);
    Pooled& pooled = layers_[place_of(layer)];
    InspectedLayer& result = pooled.result;
    result.stack = layer.stack;
    result.layer = layer.layer;
    result.numbers = layer.numbers;
    result.queries = std::max(result.queries, attention.queries);
    result.keys = std::max(result.keys, attention.keys);
    result.rows_left_out += left_out;
    pooled.pool.add(attention, options);
    if (settings_.map_cells > 0 && result.map.is_null())
      result.map = attention_map(
          layer, 0, settings_.map_cells,
          two && layer.stack != "encoder" ? example.target_words : example.words, example.words,
          settings_.by_norm ? heads::value_norms(attention) : std::vector<std::vector<double>>());
    if (spread_) add_values(attention, options, pooled);
  }

  void finish(std::vector<InspectedLayer>& out) {
    for (auto& [place, pooled] : layers_) {
      pooled.result.analysis = pooled.pool.finish();
      forget_rows(pooled.result);
      if (settings_.by_norm) heads::read_by_norm(pooled.result.analysis);
      if (spread_) finish_intervals(pooled);
      out.push_back(std::move(pooled.result));
    }
  }

  bool skipped_steps = false, sampled_some = false;

 private:
  // Rows that were not asked for are not rows without weights.
  static void forget_rows(InspectedLayer& layer) {
    heads::PooledAnalysis& analysis = layer.analysis;
    for (heads::Structure& head : analysis.structure) head.empty_rows -= layer.rows_left_out;
    for (heads::Structure& head : analysis.norm_weighted_structure)
      head.empty_rows -= layer.rows_left_out;
    analysis.uniform_baseline.empty_rows -= layer.rows_left_out;
  }

  void add_values(const heads::Attention& attention, heads::AnalysisOptions options,
                  Pooled& pooled) const {
    options.flow = options.redundancy = false;
    options.norm_weighted = settings_.by_norm;
    const heads::Analysis one = heads::analyse(attention, options);
    const auto& heads = settings_.by_norm ? one.norm_weighted_structure : one.structure;
    pooled.values.resize(std::size(kWithIntervals), std::vector<std::vector<double>>(heads.size()));
    for (size_t m = 0; m < std::size(kWithIntervals); ++m)
      for (size_t h = 0; h < heads.size(); ++h)
        if (const auto value = heads[h].*kWithIntervals[m].second)
          pooled.values[m][h].push_back(*value);
  }

  void finish_intervals(Pooled& pooled) const {
    for (size_t m = 0; m < pooled.values.size(); ++m) {
      auto& [name, intervals] = pooled.result.intervals.emplace_back();
      name = kWithIntervals[m].first;
      for (const std::vector<double>& values : pooled.values[m])
        intervals.push_back(values.size() < 2 ? std::nullopt
                                              : std::optional(heads::paired_bootstrap(
                                                    values, heads::kReplicates, settings_.seed)));
    }
  }

  const InspectSettings& settings_;
  bool spread_;
  std::map<std::pair<int, int64_t>, Pooled> layers_;
};

int64_t layers_in(const model::Transformer& model) {
  return static_cast<int64_t>(std::max(model.encoder.blocks.size(), model.decoder.blocks.size()));
}

// Random tokens from the middle of the vocabulary, again and again.
std::vector<int64_t> repeated_tokens(const model::Config& c, const InspectSettings& settings,
                                     int64_t count, int64_t draw) {
  SplitMix64 random(settings.seed + static_cast<uint64_t>(draw));
  std::vector<int64_t> drawn, all;
  const int64_t low = c.vocabulary / 4, width = std::max<int64_t>(c.vocabulary / 2, 1);
  for (int64_t i = 0; i < count; ++i) drawn.push_back(low + random.index(width));
  if (settings.start_token >= 0) all.push_back(settings.start_token);
  for (int64_t i = 0; i < kRepeats; ++i) all.insert(all.end(), drawn.begin(), drawn.end());
  return all;
}

// Induction and duplicate scores are decided on repeated random tokens (metrics.md, section E).
void probe(const model::Transformer& model, const InspectSettings& settings,
           const std::function<bool(int64_t)>& wanted, Inspection& inspection) {
  const model::Config& c = model.config;
  if (c.kind == model::Kind::encoder_decoder || c.patch > 0 || settings.random_repeat < 1) return;
  int64_t count = settings.random_repeat;
  if (c.positions > 0) count = std::min(count, (c.positions - 2) / kRepeats);
  if (count < 2 || c.vocabulary < 8) return;
  std::map<int64_t, heads::Pool> pools;
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    const std::vector<int64_t> tokens = repeated_tokens(c, settings, count, draw);
    model::Inputs inputs;
    inputs.tokens = at::tensor(tokens).unsqueeze(0);
    each_layer(model, inputs, [&](model::Capture::Layer&& layer) {
      if (!wanted(layer.layer)) return;
      const heads::Attention attention = attention_of(layer, 0, {});
      heads::AnalysisOptions options;
      options.flow = options.redundancy = false;
      options.norm_weighted = settings.by_norm;
      options.tokens = tokens;
      options.threads = settings.threads;
      pools[layer.layer].add(attention, options);
    });
  }
  inspection.probe_tokens = count;
  for (InspectedLayer& layer : inspection.layers) {
    heads::PooledAnalysis found = pools[layer.layer].finish();
    if (settings.by_norm) heads::read_by_norm(found);
    layer.probe = std::move(found.structure);
    layer.probe_baseline = std::move(found.uniform_baseline);
    heads::PooledAnalysis& own = layer.analysis;
    for (size_t h = 0; h < layer.probe.size(); ++h)
      own.roles[h] = heads::roles_with_probe(own.structure[h], own.uniform_baseline, layer.probe[h],
                                             layer.probe_baseline, own.causal);
  }
}

}  // namespace

Inspection inspect(const model::Transformer& model, const std::vector<Example>& examples,
                   const InspectSettings& settings,
                   const std::function<void(int64_t, int64_t)>& advanced) {
  const at::NoGradGuard no_gradients;
  for (const int64_t layer : settings.layers)
    if (layer < 0 || layer >= layers_in(model))
      throw Error(ErrorKind::usage, fmt::format("--layers names {}, but the layers of this model "
                                                "are 0 to {}",
                                                layer, layers_in(model) - 1));
  const auto wanted = [&](int64_t layer) {
    return settings.layers.empty() || std::find(settings.layers.begin(), settings.layers.end(),
                                                layer) != settings.layers.end();
  };
  const auto all = static_cast<int64_t>(
      examples.size() * (model.encoder.blocks.size() + model.decoder.blocks.size()));
  int64_t done = 0;
  Examiner examiner(settings, examples.size() > 1);
  for (size_t i = 0; i < examples.size(); ++i) {
    try {
      each_layer(model, examples[i].inputs, [&](model::Capture::Layer&& layer) {
        if (wanted(layer.layer)) examiner.add(layer, examples[i]);
        if (layer.stack != "cross" && advanced) advanced(++done, all);
      });
    } catch (const Error& error) {
      if (examples.size() == 1) throw;
      throw Error(error.kind(), fmt::format("example {}: {}", i + 1, error.what()));
    }
  }
  Inspection inspection;
  inspection.examples = static_cast<int64_t>(examples.size());
  inspection.many_steps = !examiner.skipped_steps;
  inspection.all_rows = !examiner.sampled_some;
  examiner.finish(inspection.layers);
  if (inspection.layers.empty())
    throw Error(ErrorKind::bad_input, "the model has no head in these layers");
  probe(model, settings, wanted, inspection);
  return inspection;
}

nlohmann::ordered_json to_json(const InspectedLayer& layer) {
  nlohmann::ordered_json entry = layer_json(layer.stack, layer.layer, layer.analysis);
  entry["queries"] = layer.queries;
  entry["keys"] = layer.keys;
  if (layer.rows_left_out > 0) entry["rows_left_out"] = layer.rows_left_out;
  if (!layer.numbers.empty()) entry["heads"] = layer.numbers;
  for (const heads::Structure& head : layer.probe) {
    const auto number = [](const std::optional<double>& value) {
      return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
    };
    entry["probe"].push_back({{"induction_score", number(head.induction_score)},
                              {"duplicate_score", number(head.duplicate_score)},
                              {"previous_mass", number(head.previous_mass)}});
  }
  for (const auto& [name, heads] : layer.intervals)
    for (const auto& interval : heads)
      entry["intervals"][name].push_back(
          interval
              ? nlohmann::ordered_json(
                    {{"mean", interval->mean}, {"low", interval->low}, {"high", interval->high}})
              : nlohmann::ordered_json(nullptr));
  return entry;
}

}  // namespace headlight::lab
