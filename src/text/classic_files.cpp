#include "text/classic_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/json_file.h"
#include "text/tokenizer_json.h"
#include "text/vocabulary.h"

namespace headlight::text {
namespace {

namespace fs = std::filesystem;

// Without the line ends, and without a last line that is empty.
std::vector<std::string> raw_lines(const fs::path& file) {
  const std::string text = tensorfile::read_text_file(file);
  if (const size_t place = find_invalid_utf8(text); place != std::string::npos)
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: is not UTF-8 at byte {}", file.string(), place));
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    at = end + 1;
  }
  return lines;
}

TemplatePart special_part(const TokenizerParts& parts, const std::string& token) {
  const auto id = parts.model->tokens().find(token);
  if (!id)
    throw Error(ErrorKind::bad_input,
                fmt::format("the special token \"{}\" is not in the vocabulary", token));
  return {.ids = {*id}, .tokens = {token}};
}

BpeOptions read_merges(const fs::path& file) {
  BpeOptions options;
  for (const std::string& line : raw_lines(file)) {
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
      throw Error(ErrorKind::bad_input,
                  fmt::format("{}: \"{}\" is not two parts with one space between them",
                              file.string(), line));
    options.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return options;
}

void finish_roberta(const JsonPlace& config, bool prefix_space, TokenizerParts& parts) {
  const std::string first = token_in(config, "cls_token", "<s>");
  const std::string separator = token_in(config, "sep_token", "</s>");
  const std::string mask = token_in(config, "mask_token", "<mask>");
  add_config_tokens(config,
                    {first, separator, token_in(config, "pad_token", "<pad>"),
                     token_in(config, "unk_token", "<unk>"), mask},
                    parts);
  for (AddedToken& token : parts.added_tokens)
    if (token.content == mask && !config.has("added_tokens_decoder")) token.left_strip = true;
  const TemplatePart begin = special_part(parts, first), end = special_part(parts, separator);
  parts.post_processors = {
      TrimOffsets{prefix_space},
      Template{.single = {begin, {.sequence = 0}, end},
               .pair = {begin, {.sequence = 0}, end, end, {.sequence = 1}, end}},
      RobertaTypes{}};
}

void finish_gpt2(const JsonPlace& config, TokenizerParts& parts) {
  const std::string end = token_in(config, "eos_token", "<|endoftext|>");
  const std::string begin = token_in(config, "bos_token", end);
  add_config_tokens(
      config, {end, begin, token_in(config, "unk_token", end), token_in(config, "pad_token", end)},
      parts);
  if (!config.flag("add_bos_token", false)) return;
  const TemplatePart first = special_part(parts, begin);
  TemplatePart second = first;
  second.type_id = 1;
  parts.post_processors = {
      Template{.single = {first, {.sequence = 0}},
               .pair = {first, {.sequence = 0}, second, {.sequence = 1, .type_id = 1}}}};
}

}  // namespace

nlohmann::json read_tokenizer_config(const fs::path& folder) {
  const fs::path file = folder / "tokenizer_config.json";
  if (!fs::exists(file)) return nlohmann::json::object();
  nlohmann::json config = tensorfile::read_json_file(file);
  if (!config.is_object()) JsonPlace(config, file).fail("this should be an object");
  return config;
}

TokenTable read_token_ids(const JsonPlace& place) {
  if (!place.value().is_object()) place.fail("this should be an object from tokens to ids");
  TokenTable tokens;
  for (const auto& [text, id] : place.value().items()) {
    if (!id.is_number_integer()) place.fail(fmt::format("the id of \"{}\" is no integer", text));
    tokens.add(text, id.get<int64_t>());
  }
  return tokens;
}

std::string token_in(const JsonPlace& config, const std::string& key,
                     const std::string& otherwise) {
  if (!config.has(key)) return otherwise;
  const JsonPlace token = config.at(key);
  return token.value().is_object() ? token.text("content") : token.text();
}

void add_config_tokens(const JsonPlace& config, const std::vector<std::string>& special,
                       TokenizerParts& parts) {
  if (config.has("added_tokens_decoder")) {
    const JsonPlace listed = config.at("added_tokens_decoder");
    if (!listed.value().is_object()) listed.fail("this should be an object from ids to tokens");
    for (const auto& [key, ignored] : listed.value().items()) {
      const JsonPlace token = listed.at(key);
      int64_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= 1 << 24)
        listed.fail(fmt::format("\"{}\" is no id", key));
      parts.added_tokens.push_back({.content = token.text("content"),
                                    .id = id,
                                    .special = token.flag("special", false),
                                    .normalized = token.flag("normalized", false),
                                    .single_word = token.flag("single_word", false),
                                    .left_strip = token.flag("lstrip", false),
                                    .right_strip = token.flag("rstrip", false)});
    }
  }
  for (const std::string& content : special) {
    const auto id = parts.model->tokens().find(content);
    const bool there = std::any_of(parts.added_tokens.begin(), parts.added_tokens.end(),
                                   [&](const AddedToken& t) { return t.content == content; });
    if (id && !there)
      parts.added_tokens.push_back({.content = content, .id = *id, .special = true});
  }
}

std::shared_ptr<TokenizerParts> read_bert_files(const fs::path& folder) {
  const nlohmann::json json = read_tokenizer_config(folder);
  const JsonPlace config(json, folder / "tokenizer_config.json");
  auto parts = std::make_shared<TokenizerParts>();
  TokenTable tokens;
  int64_t id = 0;
  for (const std::string& line : raw_lines(folder / "vocab.txt")) tokens.add(line, id++);
  const std::string unknown = token_in(config, "unk_token", "[UNK]");
  const std::string first = token_in(config, "cls_token", "[CLS]");
  const std::string separator = token_in(config, "sep_token", "[SEP]");
  parts->model = make_word_piece(std::move(tokens), {.unknown = unknown});
  add_config_tokens(config,
                    {unknown, first, separator, token_in(config, "pad_token", "[PAD]"),
                     token_in(config, "mask_token", "[MASK]")},
                    *parts);
  const bool lower = config.flag("do_lower_case", true);
  parts->normalizers = {BertNormalizer{.space_cjk = config.flag("tokenize_chinese_chars", true),
                                       .strip_accents = config.flag("strip_accents", lower),
                                       .lower_case = lower}};
  parts->pre_tokenizers = {SplitBert{}};
  const TemplatePart begin = special_part(*parts, first), end = special_part(*parts, separator);
  TemplatePart last = end;
  last.type_id = 1;
  parts->post_processors = {
      Template{.single = {begin, {.sequence = 0}, end},
               .pair = {begin, {.sequence = 0}, end, {.sequence = 1, .type_id = 1}, last}}};
  parts->decoders = {DecodeWordPiece{}};
  parts->finish();
  return parts;
}

std::shared_ptr<TokenizerParts> read_byte_bpe_files(const fs::path& folder) {
  const nlohmann::json json = read_tokenizer_config(folder);
  const JsonPlace config(json, folder / "tokenizer_config.json");
  const fs::path vocabulary = folder / "vocab.json";
  const nlohmann::json ids = tensorfile::read_json_file(vocabulary);
  TokenTable tokens = read_token_ids({ids, vocabulary});
  const std::string kind = config.text("tokenizer_class", "");
  const bool qwen = kind.starts_with("Qwen2");
  const bool roberta =
      kind.starts_with("Roberta") || kind.starts_with("Bart") ||
      (kind.empty() && tokens.find("<s>") && tokens.find("</s>") && tokens.find("<mask>"));
  const bool prefix_space = config.flag("add_prefix_space", false);

  auto parts = std::make_shared<TokenizerParts>();
  if (qwen) {
    parts->normalizers = {NormalForm::nfc};
    parts->pre_tokenizers = {SplitPattern{.pattern = KnownPattern{.digits_at_most = 1}}};
  }
  parts->pre_tokenizers.push_back(ByteLevel{.add_prefix_space = prefix_space, .use_regex = !qwen});
  parts->decoders = {DecodeByteLevel{}};
  parts->model =
      make_bpe_for(parts->pre_tokenizers, std::move(tokens), read_merges(folder / "merges.txt"));
  if (roberta)
    finish_roberta(config, prefix_space, *parts);
  else
    finish_gpt2(config, *parts);
  parts->finish();
  return parts;
}

}  // namespace headlight::text
