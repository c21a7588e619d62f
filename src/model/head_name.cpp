#include "model/head_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "text/whole_number.h"

namespace headlight::model {
namespace {

std::string known(const Config& config) {
  std::vector<std::string> stacks;
  for (const NamedPart& part : parts_of(config))
    stacks.push_back(fmt::format("{}.0.0 to {}.{}.{}", part.stack, part.stack, part.layers - 1,
                                 layer_heads(config, part.part, part.layers - 1).heads - 1));
  return fmt::format("heads here are {}", fmt::join(stacks, ", "));
}

HeadPlace parse(std::string_view name, const Config& config) {
  const size_t first = name.find('.'), last = name.rfind('.');
  if (first != std::string_view::npos && first != last) {
    const std::optional<int64_t> layer =
                                     text::whole_number(name.substr(first + 1, last - first - 1)),
                                 head = text::whole_number(name.substr(last + 1));
    if (layer && head) return {std::string(name.substr(0, first)), *layer, *head};
  }
  throw Error(ErrorKind::usage,
              fmt::format("'{}' names no head; write STACK.LAYER.HEAD: {}", name, known(config)));
}

void check(const HeadPlace& place, const Config& config) {
  for (const NamedPart& part : parts_of(config)) {
    if (part.stack != place.stack || place.layer < 0 || place.layer >= part.layers) continue;
    const int64_t heads = layer_heads(config, part.part, place.layer).heads;
    if (place.head >= 0 && place.head < heads) return;
    throw Error(ErrorKind::usage,
                fmt::format("there is no head {}: layer {} of {} has {} heads, counted from 0",
                            name_of(place), place.layer, place.stack, heads));
  }
  throw Error(ErrorKind::usage,
              fmt::format("there is no head {}; {}", name_of(place), known(config)));
}

std::vector<HeadPlace> listed(const std::string& path, const Config& config) {
  std::vector<HeadPlace> heads;
  const nlohmann::json json = tensorfile::read_json_file(path);
  const auto refuse = [&](const std::string& where) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: {} is no head; a list of names such as \"self.0.3\" or of "
                            "{{\"stack\": \"self\", \"layer\": 0, \"head\": 3}} belongs there",
                            path, where));
  };
  if (!json.is_array()) refuse("what the file holds");
  for (const nlohmann::json& entry : json) {
    if (entry.is_string()) {
      heads.push_back(parse(entry.get_ref<const std::string&>(), config));
      continue;
    }
    const auto has = [&](const char* key) {
      return entry.is_object() && entry.contains(key) && entry[key].is_number_integer();
    };
    if (!has("layer") || !has("head") || !entry.contains("stack") || !entry["stack"].is_string())
      refuse(fmt::format("entry {}", &entry - &json[0]));
    heads.push_back({entry["stack"], entry["layer"], entry["head"]});
  }
  return heads;
}

}  // namespace

std::string name_of(const HeadPlace& place) {
  return fmt::format("{}.{}.{}", place.stack, place.layer, place.head);
}

std::vector<NamedPart> parts_of(const Config& c) {
  switch (c.kind) {
    case Kind::decoder_only:
      return {{"self", Part::decoder, c.layers}};
    case Kind::encoder_only:
      return {{"self", Part::encoder, c.layers}};
    case Kind::encoder_decoder:
      break;
  }
  return {{"encoder", Part::encoder, c.layers},
          {"decoder", Part::decoder, c.decoder_layers},
          {"cross", Part::cross, c.decoder_layers}};
}

std::vector<HeadPlace> all_heads(const Config& config) {
  std::vector<HeadPlace> heads;
  for (const NamedPart& part : parts_of(config))
    for (int64_t layer = 0; layer < part.layers; ++layer)
      for (int64_t head = 0; head < layer_heads(config, part.part, layer).heads; ++head)
        heads.push_back({part.stack, layer, head});
  return heads;
}

std::vector<HeadPlace> parse_heads(const std::string& list, const Config& config) {
  std::vector<HeadPlace> heads;
  if (list.starts_with('@')) {
    heads = listed(list.substr(1), config);
  } else {
    for (size_t begin = 0; begin <= list.size();) {
      const size_t end = std::min(list.find(',', begin), list.size());
      heads.push_back(parse(std::string_view(list).substr(begin, end - begin), config));
      begin = end + 1;
    }
  }
  for (const HeadPlace& head : heads) check(head, config);
  std::ranges::sort(heads);
  heads.erase(std::ranges::unique(heads).begin(), heads.end());
  return heads;
}

}  // namespace headlight::model
