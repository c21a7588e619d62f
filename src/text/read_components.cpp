// The components of a tokenizer.json by their type names.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>

#include "text/tokenizer_json.h"

namespace headlight::text {
namespace {

// Names and how each is read; a "Sequence" is read item by item, into one flat list.
template <typename Component>
using Readers =
    std::map<std::string, std::function<void(const JsonPlace&, std::vector<Component>&)>>;

template <typename Component>
void read_flat(const JsonPlace& place, const std::string& items, const Readers<Component>& readers,
               std::vector<Component>& out) {
  const std::string type = place.text("type");
  if (type == "Sequence") {
    for (const JsonPlace& item : place.at(items).items()) read_flat(item, items, readers, out);
    return;
  }
  const auto reader = readers.find(type);
  if (reader == readers.end()) {
    std::vector<std::string> known = {"Sequence"};
    for (const auto& [name, read] : readers) known.push_back(name);
    place.at("type").fail(
        fmt::format("\"{}\" is not known; known are {}", type, fmt::join(known, ", ")));
  }
  reader->second(place, out);
}

// {"String": "…"} or {"Regex": "…"}
std::variant<std::string, Regex> read_pattern(const JsonPlace& place) {
  if (place.has("Regex")) return Regex(place.text("Regex"));
  if (place.has("String")) return place.text("String");
  place.fail("a pattern is {\"String\": …} or {\"Regex\": …}");
}

ReplaceText read_replace(const JsonPlace& place) {
  return {read_pattern(place.at("pattern")), place.text("content")};
}

PrependScheme read_prepend_scheme(const JsonPlace& place) {
  if (!place.has("prepend_scheme"))
    return place.flag("add_prefix_space", true) ? PrependScheme::always : PrependScheme::never;
  const std::string scheme = place.text("prepend_scheme");
  if (scheme == "always") return PrependScheme::always;
  if (scheme == "first") return PrependScheme::first;
  if (scheme == "never") return PrependScheme::never;
  place.at("prepend_scheme").fail("this is always, first or never");
}

SplitBehavior read_behavior(const JsonPlace& place, const std::string& otherwise) {
  const std::string name = place.text("behavior", otherwise);
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  place.at("behavior")
      .fail("this is Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

SplitPattern read_split(const JsonPlace& place) {
  const JsonPlace pattern = place.at("pattern");
  SplitPattern split{.behavior = read_behavior(place, ""), .invert = place.flag("invert", false)};
  if (const auto known = known_pattern(pattern.text("Regex", "")))
    split.pattern = *known;
  else
    std::visit([&](auto& read) { split.pattern = std::move(read); },
               *std::make_unique<std::variant<std::string, Regex>>(read_pattern(pattern)));
  return split;
}

// ["[SEP]", 102]
TemplatePart read_token_pair(const JsonPlace& place) {
  const auto pair = place.items();
  if (pair.size() != 2) place.fail("this is a token and its id");
  return {.ids = {pair[1].integer()}, .tokens = {pair[0].text()}};
}

TemplatePart read_template_part(const JsonPlace& place, const JsonPlace& special_tokens) {
  if (place.has("Sequence")) {
    const JsonPlace sequence = place.at("Sequence");
    const std::string id = sequence.text("id");
    if (id != "A" && id != "B") sequence.at("id").fail("this is A or B");
    return {.sequence = id == "B", .type_id = sequence.integer("type_id", 0)};
  }
  const JsonPlace token = place.at("SpecialToken");
  const JsonPlace entry = special_tokens.at(token.text("id"));
  TemplatePart part{.type_id = token.integer("type_id", 0)};
  for (const JsonPlace& id : entry.at("ids").items()) part.ids.push_back(id.integer());
  for (const JsonPlace& text : entry.at("tokens").items()) part.tokens.push_back(text.text());
  if (part.ids.size() != part.tokens.size()) entry.fail("as many ids as tokens are needed");
  return part;
}

Template read_template(const JsonPlace& place) {
  Template frame;
  const JsonPlace tokens = place.at("special_tokens");
  for (const JsonPlace& part : place.at("single").items())
    frame.single.push_back(read_template_part(part, tokens));
  for (const JsonPlace& part : place.at("pair").items())
    frame.pair.push_back(read_template_part(part, tokens));
  for (const TemplatePart& part : frame.single)
    if (part.sequence == 1) place.at("single").fail("there is only one text, A");
  return frame;
}

Template bert_template(const JsonPlace& place) {
  const TemplatePart first = read_token_pair(place.at("cls"));
  TemplatePart separator = read_token_pair(place.at("sep"));
  Template frame;
  frame.single = {first, {.sequence = 0}, separator};
  frame.pair = frame.single;
  separator.type_id = 1;
  frame.pair.push_back({.sequence = 1, .type_id = 1});
  frame.pair.push_back(separator);
  return frame;
}

Template roberta_template(const JsonPlace& place) {
  const TemplatePart first = read_token_pair(place.at("cls"));
  const TemplatePart separator = read_token_pair(place.at("sep"));
  Template frame;
  frame.single = {first, {.sequence = 0}, separator};
  frame.pair = {first, {.sequence = 0}, separator, separator, {.sequence = 1}, separator};
  return frame;
}

}  // namespace

std::vector<Normalizer> read_normalizers(const JsonPlace& place) {
  using Out = std::vector<Normalizer>;
  static const Readers<Normalizer> readers = {
      {"BertNormalizer",
       [](const JsonPlace& p, Out& out) {
         const bool lower = p.flag("lowercase", true);
         out.push_back(BertNormalizer{.clean_text = p.flag("clean_text", true),
                                      .space_cjk = p.flag("handle_chinese_chars", true),
                                      .strip_accents = p.flag("strip_accents", lower),
                                      .lower_case = lower});
       }},
      {"NFC", [](const JsonPlace&, Out& out) { out.push_back(NormalForm::nfc); }},
      {"NFD", [](const JsonPlace&, Out& out) { out.push_back(NormalForm::nfd); }},
      {"NFKC", [](const JsonPlace&, Out& out) { out.push_back(NormalForm::nfkc); }},
      {"NFKD", [](const JsonPlace&, Out& out) { out.push_back(NormalForm::nfkd); }},
      {"Lowercase", [](const JsonPlace&, Out& out) { out.push_back(LowerCase{}); }},
      {"StripAccents", [](const JsonPlace&, Out& out) { out.push_back(StripAccents{}); }},
      {"Strip",
       [](const JsonPlace& p, Out& out) {
         out.push_back(StripSpaces{p.flag("strip_left", true), p.flag("strip_right", true)});
       }},
      {"Replace", [](const JsonPlace& p, Out& out) { out.push_back(read_replace(p)); }},
      {"Prepend",
       [](const JsonPlace& p, Out& out) { out.push_back(PrependText{p.text("prepend")}); }},
      {"Nmt", [](const JsonPlace&, Out& out) { out.push_back(NmtNormalizer{}); }},
      {"Precompiled",
       [](const JsonPlace& p, Out& out) {
         if (p.has("precompiled_charsmap"))
           out.push_back(read_charsmap(p.text("precompiled_charsmap")));
       }},
  };
  Out out;
  read_flat(place, "normalizers", readers, out);
  return out;
}

std::vector<PreTokenizer> read_pre_tokenizers(const JsonPlace& place) {
  using Out = std::vector<PreTokenizer>;
  static const Readers<PreTokenizer> readers = {
      {"BertPreTokenizer", [](const JsonPlace&, Out& out) { out.push_back(SplitBert{}); }},
      {"Whitespace", [](const JsonPlace&, Out& out) { out.push_back(SplitWordsAndSymbols{}); }},
      {"WhitespaceSplit", [](const JsonPlace&, Out& out) { out.push_back(SplitWhitespace{}); }},
      {"Punctuation",
       [](const JsonPlace& p, Out& out) {
         out.push_back(SplitPunctuation{read_behavior(p, "Isolated")});
       }},
      {"Digits", [](const JsonPlace& p,
                    Out& out) { out.push_back(SplitDigits{p.flag("individual_digits", false)}); }},
      {"Split", [](const JsonPlace& p, Out& out) { out.push_back(read_split(p)); }},
      {"CharDelimiterSplit",
       [](const JsonPlace& p, Out& out) {
         out.push_back(SplitPattern{p.text("delimiter"), SplitBehavior::removed});
       }},
      {"Metaspace",
       [](const JsonPlace& p, Out& out) {
         out.push_back(Metaspace{p.text("replacement", "\u2581"), read_prepend_scheme(p),
                                 p.flag("split", true)});
       }},
      {"ByteLevel",
       [](const JsonPlace& p, Out& out) {
         out.push_back(ByteLevel{p.flag("add_prefix_space", true), p.flag("use_regex", true)});
       }},
  };
  Out out;
  read_flat(place, "pretokenizers", readers, out);
  return out;
}

std::vector<PostProcessor> read_post_processors(const JsonPlace& place) {
  using Out = std::vector<PostProcessor>;
  static const Readers<PostProcessor> readers = {
      {"TemplateProcessing", [](const JsonPlace& p, Out& out) { out.push_back(read_template(p)); }},
      {"BertProcessing", [](const JsonPlace& p, Out& out) { out.push_back(bert_template(p)); }},
      {"RobertaProcessing",
       [](const JsonPlace& p, Out& out) {
         if (p.flag("trim_offsets", true))
           out.push_back(TrimOffsets{p.flag("add_prefix_space", true)});
         out.push_back(roberta_template(p));
         out.push_back(RobertaTypes{});
       }},
      {"ByteLevel",
       [](const JsonPlace& p, Out& out) {
         if (p.flag("trim_offsets", true))
           out.push_back(TrimOffsets{p.flag("add_prefix_space", true)});
       }},
  };
  Out out;
  read_flat(place, "processors", readers, out);
  return out;
}

std::vector<Decoder> read_decoders(const JsonPlace& place) {
  using Out = std::vector<Decoder>;
  static const Readers<Decoder> readers = {
      {"WordPiece",
       [](const JsonPlace& p, Out& out) {
         out.push_back(DecodeWordPiece{p.text("prefix", "##"), p.flag("cleanup", true)});
       }},
      {"ByteLevel", [](const JsonPlace&, Out& out) { out.push_back(DecodeByteLevel{}); }},
      {"Metaspace",
       [](const JsonPlace& p, Out& out) {
         out.push_back(DecodeMetaspace{p.text("replacement", "\u2581"),
                                       read_prepend_scheme(p) != PrependScheme::never});
       }},
      {"BPEDecoder",
       [](const JsonPlace& p, Out& out) { out.push_back(DecodeBpe{p.text("suffix", "</w>")}); }},
      {"Replace", [](const JsonPlace& p, Out& out) { out.push_back(read_replace(p)); }},
      {"ByteFallback", [](const JsonPlace&, Out& out) { out.push_back(DecodeByteFallback{}); }},
      {"Fuse", [](const JsonPlace&, Out& out) { out.push_back(FuseTokens{}); }},
      {"Strip",
       [](const JsonPlace& p, Out& out) {
         out.push_back(
             StripTokens{p.text("content", " "), p.integer("start", 0), p.integer("stop", 0)});
       }},
  };
  Out out;
  read_flat(place, "decoders", readers, out);
  return out;
}

}  // namespace headlight::text
