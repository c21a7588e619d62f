#include "lab/comparison.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "headlight/error.h"
#include "heads/two_models.h"
#include "lab/captured_attention.h"
#include "lab/head_matching.h"

namespace headlight::lab {
namespace {

std::vector<int64_t> numbers_of(const model::Capture::Layer& layer) {
  if (!layer.numbers.empty()) return layer.numbers;
  std::vector<int64_t> numbers(static_cast<size_t>(layer.q.size(1)));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

std::map<std::pair<int, int64_t>, model::Capture::Layer> layers_of(const model::Transformer& model,
                                                                   const model::Inputs& in) {
  std::map<std::pair<int, int64_t>, model::Capture::Layer> layers;
  each_layer(model, in, [&](model::Capture::Layer&& layer) {
    const auto place = place_of(layer);
    layers.emplace(place, std::move(layer));
  });
  return layers;
}

void require_alike(const model::Transformer& a, const model::Transformer& b) {
  const auto refuse = [](const std::string& what) {
    throw Error(ErrorKind::bad_input, "the two models cannot be laid over each other: " + what);
  };
  const model::Config &ca = a.config, &cb = b.config;
  if (ca.kind != cb.kind) {
    const auto name = [](model::Kind kind) {
      return kind == model::Kind::decoder_only   ? "a decoder"
             : kind == model::Kind::encoder_only ? "an encoder"
                                                 : "an encoder with a decoder";
    };
    refuse(fmt::format("the first is {}, the second {}", name(ca.kind), name(cb.kind)));
  }
  const auto same = [&](const char* what, int64_t first, int64_t second) {
    if (first != second)
      refuse(fmt::format("the first has {} {}, the second {}", first, what, second));
  };
  same("layers in its encoder", int64_t(a.encoder.blocks.size()), int64_t(b.encoder.blocks.size()));
  same("layers in its decoder", int64_t(a.decoder.blocks.size()), int64_t(b.decoder.blocks.size()));
  same("pixels in a patch", ca.patch, cb.patch);
  same("tokens in its vocabulary", ca.vocabulary, cb.vocabulary);
  same("tokens in its source vocabulary", ca.source_vocabulary, cb.source_vocabulary);
}

}  // namespace

const char* name_of(Change change) {
  switch (change) {
    case Change::same:
      return "same";
    case Change::moved:
      return "moved";
    case Change::died:
      return "died";
    case Change::appeared:
      return "appeared";
  }
  return "";
}

Comparison compare(const model::Transformer& a, const model::Transformer& b,
                   const std::vector<Example>& examples, const ComparisonSettings& settings,
                   const std::function<void(int64_t)>& advanced) {
  const at::NoGradGuard no_gradients;
  require_alike(a, b);
  std::map<std::pair<int, int64_t>, LayerSums> sums;
  for (size_t i = 0; i < examples.size(); ++i) {
    const model::Inputs& in = examples[i].inputs;
    try {
      auto first = layers_of(a, in), second = layers_of(b, in);
      for (auto* layers : {&first, &second})
        for (const auto& [place, layer] : *layers) {
          LayerSums& found = sums[place];
          found.stack = layer.stack;
          found.layer = layer.layer;
          (layers == &first ? found.heads_a : found.heads_b) = numbers_of(layer);
        }
      for (const auto& [place, layer] : first) {
        const auto other = second.find(place);
        if (other == second.end()) continue;
        const heads::Attention one = attention_of(layer, 0, real_queries(layer, in));
        const heads::Attention two = attention_of(other->second, 0, real_queries(layer, in));
        sums[place].examples.push_back(heads::compare(one, two, settings.threads));
      }
    } catch (const Error& error) {
      if (examples.size() == 1) throw;
      throw Error(error.kind(), fmt::format("example {}: {}", i + 1, error.what()));
    }
    if (advanced) advanced(static_cast<int64_t>(i + 1));
  }
  Comparison comparison;
  comparison.examples = static_cast<int64_t>(examples.size());
  comparison.outputs = false;
  for (const auto& [place, layer] : sums) {
    int64_t rows = 0;
    for (const heads::TwoModels& example : layer.examples) {
      rows += example.rows;
      comparison.outputs |= example.rows >= kRowsForOutputs;
    }
    if (comparison.rows == 0) comparison.rows = rows;
    comparison.layers.push_back(matched(layer, settings));
  }
  if (comparison.layers.empty()) throw Error(ErrorKind::bad_input, "neither model has a head");
  if (settings.by == MatchBy::output && !comparison.outputs)
    throw Error(ErrorKind::bad_input,
                "outputs cannot be compared: no example has four tokens; give longer ones");
  return comparison;
}

ChangeCounts count_changes(const Comparison& comparison) {
  ChangeCounts counts;
  for (const ComparedLayer& layer : comparison.layers)
    for (const HeadMatch& match : layer.matches) {
      counts.same += match.change == Change::same;
      counts.moved += match.change == Change::moved;
      counts.died += match.change == Change::died;
      counts.appeared += match.change == Change::appeared;
      counts.renumbered +=
          match.a && match.b && layer.heads_a[size_t(*match.a)] != layer.heads_b[size_t(*match.b)];
    }
  return counts;
}

const HeadMatch* farthest(const ComparedLayer& layer) {
  const HeadMatch* found = nullptr;
  for (const HeadMatch& match : layer.matches)
    if (match.distance && (!found || *match.distance > *found->distance)) found = &match;
  return found;
}

nlohmann::ordered_json to_json(const ComparedLayer& layer) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double value) { return std::isnan(value) ? Json() : Json(value); };
  const auto optional = [&](const std::optional<double>& value) {
    return value ? number(*value) : Json();
  };
  const auto list = [&](const std::vector<double>& values) {
    Json json = Json::array();
    for (const double value : values) json.push_back(number(value));
    return json;
  };
  const auto table = [&](const heads::HeadMatrix& rows) {
    Json json = Json::array();
    for (const auto& row : rows) json.push_back(list(row));
    return json;
  };
  const auto head = [](const std::optional<int64_t>& place, const std::vector<int64_t>& numbers) {
    return place ? Json(numbers[static_cast<size_t>(*place)]) : Json();
  };
  Json json = {{"stack", layer.stack},
               {"layer", layer.layer},
               {"heads_a", layer.heads_a},
               {"heads_b", layer.heads_b},
               {"relative_norm_a", list(layer.norm_a)},
               {"relative_norm_b", list(layer.norm_b)}};
  json["matches"] = Json::array();
  for (const HeadMatch& match : layer.matches) {
    Json& entry = json["matches"].emplace_back();
    entry["a"] = head(match.a, layer.heads_a);
    entry["b"] = head(match.b, layer.heads_b);
    entry["change"] = name_of(match.change);
    entry["distance"] = optional(match.distance);
    entry["interval"] = match.interval ? Json{{"low", number(match.interval->low)},
                                              {"high", number(match.interval->high)}}
                                       : Json();
    entry["pattern_distance"] = optional(match.pattern);
    entry["output_distance"] = optional(match.output);
    entry["runner_up"] = optional(match.runner_up);
  }
  json["distance"] = table(layer.distance);
  json["pattern_distance"] = table(layer.pattern);
  json["output_distance"] = table(layer.output);
  return json;
}

}  // namespace headlight::lab
