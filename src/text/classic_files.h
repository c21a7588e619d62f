// Tokenizers from before tokenizer.json: vocabularies in files of their own, explained by
// tokenizer_config.json. All throw Error (bad_input).
#pragma once

#include <filesystem>
#include <memory>

#include "text/json_place.h"
#include "text/tokenizer_parts.h"

namespace headlight::text {

// vocab.txt: one token a line, the line number is the id.
std::shared_ptr<TokenizerParts> read_bert_files(const std::filesystem::path& folder);
// vocab.json and merges.txt: GPT-2, RoBERTa, or Qwen 2 if tokenizer_config.json says so.
std::shared_ptr<TokenizerParts> read_byte_bpe_files(const std::filesystem::path& folder);
// A sentencepiece model: T5 (spiece.model), Llama and its like (tokenizer.model), or Marian, whose
// ids are in the vocab.json beside it.
std::shared_ptr<TokenizerParts> read_sentencepiece_file(const std::filesystem::path& file);

// tokenizer_config.json, or an empty object.
nlohmann::json read_tokenizer_config(const std::filesystem::path& folder);
// {"token": id, …}
TokenTable read_token_ids(const JsonPlace& place);
// A token in the configuration is a text or an object with its "content".
std::string token_in(const JsonPlace& config, const std::string& key, const std::string& otherwise);
// What "added_tokens_decoder" lists, and the named special tokens that the vocabulary has.
void add_config_tokens(const JsonPlace& config, const std::vector<std::string>& special,
                       TokenizerParts& parts);

// Segments with the library itself; ids are the model's, or those that `tokens` has.
std::unique_ptr<WordModel> make_sentencepiece(const std::filesystem::path& file,
                                              std::optional<TokenTable> tokens,
                                              const std::string& unknown);

}  // namespace headlight::text
