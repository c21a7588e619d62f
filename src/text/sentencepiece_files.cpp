#include <fmt/format.h>

#include <limits>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "text/classic_files.h"

namespace headlight::text {
namespace {

namespace fs = std::filesystem;

// Around every text: what is in the vocabulary of these.
Template frame_of(const TokenizerParts& parts, const std::string& first, const std::string& last) {
  Template frame;
  const auto put = [&](const std::string& token, int64_t type_id) {
    const auto id = parts.model->tokens().find(token);
    if (token.empty() || !id) return;
    const TemplatePart part{.ids = {*id}, .tokens = {token}, .type_id = type_id};
    if (type_id == 0) frame.single.push_back(part);
    frame.pair.push_back(part);
  };
  put(first, 0);
  frame.single.push_back({.sequence = 0});
  frame.pair.push_back({.sequence = 0});
  put(last, 0);
  put(first, 1);
  frame.pair.push_back({.sequence = 1, .type_id = 1});
  put(last, 1);
  return frame;
}

void read_marian(const fs::path& file, const JsonPlace& config, TokenizerParts& parts) {
  const fs::path vocabulary = file.parent_path() / "vocab.json";
  const nlohmann::json json = tensorfile::read_json_file(vocabulary);
  const std::string unknown = token_in(config, "unk_token", "<unk>");
  parts.model = make_sentencepiece(file, read_token_ids({json, vocabulary}), unknown);
  const std::string end = token_in(config, "eos_token", "</s>");
  add_config_tokens(config, {unknown, end, token_in(config, "pad_token", "<pad>")}, parts);
  // >>fra<< says which language to translate into.
  parts.model->tokens().for_each([&](const std::string& text, TokenId id) {
    if (text.starts_with(">>") && text.ends_with("<<"))
      parts.added_tokens.push_back({.content = text, .id = id, .special = true});
  });
  parts.post_processors = {frame_of(parts, "", end)};
  // Spaces at both ends are not part of a translation.
  const int64_t all = std::numeric_limits<int32_t>::max();
  parts.decoders = {ReplaceText{std::string("\u2581"), " "}, FuseTokens{},
                    StripTokens{" ", all, all}};
}

void read_t5(const fs::path& file, const JsonPlace& config, TokenizerParts& parts) {
  parts.model = make_sentencepiece(file, std::nullopt, "<unk>");
  const std::string end = token_in(config, "eos_token", "</s>");
  add_config_tokens(
      config, {token_in(config, "unk_token", "<unk>"), end, token_in(config, "pad_token", "<pad>")},
      parts);
  // Sentinels count down to the end of the vocabulary.
  const int64_t sentinels = config.integer("extra_ids", 100);
  if (sentinels < 0 || sentinels > 10'000) config.at("extra_ids").fail("this is 0 to 10000");
  const int64_t pieces = parts.model->tokens().id_limit();
  if (!config.has("added_tokens_decoder"))
    for (int64_t i = 0; i < sentinels; ++i)
      parts.added_tokens.push_back({.content = fmt::format("<extra_id_{}>", i),
                                    .id = pieces + sentinels - 1 - i,
                                    .special = true});
  parts.post_processors = {frame_of(parts, "", end)};
}

void read_llama(const fs::path& file, const JsonPlace& config, TokenizerParts& parts) {
  parts.model = make_sentencepiece(file, std::nullopt, "<unk>");
  const std::string begin = token_in(config, "bos_token", "<s>");
  const std::string end = token_in(config, "eos_token", "</s>");
  add_config_tokens(config, {token_in(config, "unk_token", "<unk>"), begin, end}, parts);
  parts.post_processors = {frame_of(parts, config.flag("add_bos_token", true) ? begin : "",
                                    config.flag("add_eos_token", false) ? end : "")};
}

}  // namespace

std::shared_ptr<TokenizerParts> read_sentencepiece_file(const fs::path& file) {
  const nlohmann::json json = read_tokenizer_config(file.parent_path());
  const JsonPlace config(json, file.parent_path() / "tokenizer_config.json");
  auto parts = std::make_shared<TokenizerParts>();
  parts->decoders = {ReplaceText{std::string("\u2581"), " "}, DecodeByteFallback{}, FuseTokens{},
                     StripTokens{" ", 1, 0}};
  if (file.extension() == ".spm")
    read_marian(file, config, *parts);
  else if (file.filename() == "spiece.model")
    read_t5(file, config, *parts);
  else
    read_llama(file, config, *parts);
  parts->finish();
  return parts;
}

}  // namespace headlight::text
