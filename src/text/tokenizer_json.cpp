#include "text/tokenizer_json.h"

#include <fmt/format.h>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "text/classic_files.h"

namespace headlight::text {
namespace {

BpeOptions read_bpe_options(const JsonPlace& model) {
  BpeOptions options{.unknown = model.text("unk_token", ""),
                     .continuing_prefix = model.text("continuing_subword_prefix", ""),
                     .end_of_word_suffix = model.text("end_of_word_suffix", ""),
                     .fuse_unknown = model.flag("fuse_unk", false),
                     .byte_fallback = model.flag("byte_fallback", false),
                     .ignore_merges = model.flag("ignore_merges", false)};
  if (model.has("dropout") && model.at("dropout").number() != 0)
    model.at("dropout").fail("random merges are for training; set it to null");
  // Either ["a", "b"] or "a b".
  for (const JsonPlace& merge : model.at("merges").items()) {
    if (merge.value().is_string()) {
      const std::string text = merge.text();
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        merge.fail("a merge is two parts with one space between them");
      options.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    } else {
      const auto parts = merge.items();
      if (parts.size() != 2) merge.fail("a merge has two parts");
      options.merges.emplace_back(parts[0].text(), parts[1].text());
    }
  }
  return options;
}

std::unique_ptr<WordModel> read_unigram(const JsonPlace& model) {
  UnigramOptions options{.byte_fallback = model.flag("byte_fallback", false)};
  for (const JsonPlace& piece : model.at("vocab").items()) {
    const auto pair = piece.items();
    if (pair.size() != 2) piece.fail("a piece is a text and its log probability");
    options.pieces.emplace_back(pair[0].text(), pair[1].number());
  }
  if (model.has("unk_id")) options.unknown = model.at("unk_id").integer();
  return make_unigram(options);
}

// Old files leave the type out.
std::string type_of(const JsonPlace& model) {
  if (model.has("type")) return model.text("type");
  if (model.has("merges")) return "BPE";
  if (model.has("vocab") && model.at("vocab").value().is_array()) return "Unigram";
  return model.has("continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

std::unique_ptr<WordModel> read_model(const JsonPlace& model,
                                      std::vector<PreTokenizer>& pre_tokenizers) {
  const std::string type = type_of(model);
  if (type == "BPE")
    return make_bpe_for(pre_tokenizers, read_token_ids(model.at("vocab")), read_bpe_options(model));
  if (type == "WordPiece")
    return make_word_piece(read_token_ids(model.at("vocab")),
                           {.unknown = model.text("unk_token", "[UNK]"),
                            .continuing_prefix = model.text("continuing_subword_prefix", "##"),
                            .longest_word = model.integer("max_input_chars_per_word", 100)});
  if (type == "Unigram") return read_unigram(model);
  if (type == "WordLevel")
    return make_word_level(read_token_ids(model.at("vocab")), model.text("unk_token", ""));
  model.at("type").fail(
      fmt::format("\"{}\" is not known; known are BPE, Unigram, WordLevel, WordPiece", type));
}

std::vector<AddedToken> read_added_tokens(const JsonPlace& place, const TokenTable& tokens) {
  constexpr int64_t kMostIds = 1 << 24;
  std::vector<AddedToken> added;
  for (const JsonPlace& item : place.items()) {
    AddedToken token{.content = item.text("content"),
                     .id = item.at("id").integer(),
                     .special = item.flag("special", false),
                     .normalized = item.flag("normalized", !item.flag("special", false)),
                     .single_word = item.flag("single_word", false),
                     .left_strip = item.flag("lstrip", false),
                     .right_strip = item.flag("rstrip", false)};
    if (token.content.empty()) continue;
    if (token.id < 0 || token.id >= kMostIds)
      item.fail(fmt::format("the id {} is not between 0 and {}", token.id, kMostIds - 1));
    if (const auto known = tokens.find(token.content)) token.id = *known;
    added.push_back(std::move(token));
  }
  return added;
}

}  // namespace

std::unique_ptr<WordModel> make_bpe_for(std::vector<PreTokenizer>& pre_tokenizers,
                                        TokenTable tokens, const BpeOptions& options) {
  ByteLevel* last =
      pre_tokenizers.empty() ? nullptr : std::get_if<ByteLevel>(&pre_tokenizers.back());
  if (last == nullptr || !can_read_bytes(tokens, options))
    return make_bpe(std::move(tokens), options);
  last->leave_bytes = true;
  return make_byte_bpe(std::move(tokens), options);
}

std::shared_ptr<TokenizerParts> read_tokenizer_json(const std::filesystem::path& file) {
  const nlohmann::json json = tensorfile::read_json_file(file);
  const JsonPlace root(json, file);
  auto parts = std::make_shared<TokenizerParts>();
  const JsonPlace model = root.at("model");
  if (root.has("normalizer")) parts->normalizers = read_normalizers(root.at("normalizer"));
  if (root.has("pre_tokenizer"))
    parts->pre_tokenizers = read_pre_tokenizers(root.at("pre_tokenizer"));
  parts->model = read_model(model, parts->pre_tokenizers);
  if (root.has("post_processor"))
    parts->post_processors = read_post_processors(root.at("post_processor"));
  if (root.has("decoder")) parts->decoders = read_decoders(root.at("decoder"));
  if (root.has("added_tokens"))
    parts->added_tokens = read_added_tokens(root.at("added_tokens"), parts->model->tokens());
  parts->finish();
  return parts;
}

}  // namespace headlight::text
