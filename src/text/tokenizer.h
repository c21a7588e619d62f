// Tokenizers as Hugging Face models bring them: from text to ids and back, without Python.
//
//   const Tokenizer tokenizer = read_tokenizer("model/");
//   const Encoding encoding = encode(tokenizer, "He didn't trust him");
//   decode(tokenizer, encoding.ids) == "He didn't trust him";
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/encoding.h"

namespace headlight::text {

struct TokenizerParts;

// A value: copies share what was read. Safe to use from any number of threads.
class Tokenizer {
 public:
  explicit Tokenizer(std::shared_ptr<TokenizerParts> parts) : parts_(std::move(parts)) {}

  // The highest id + 1; a model's embedding needs at least so many rows.
  int64_t id_limit() const;
  std::optional<int64_t> id_of(std::string_view token) const;
  // As the vocabulary writes it; nothing for an id without a token.
  std::optional<std::string> token_of(int64_t id) const;
  TokenizerParts& parts() const { return *parts_; }

 private:
  std::shared_ptr<TokenizerParts> parts_;
};

// Reads what `path` holds: a tokenizer.json, a sentencepiece model (.model; Marian's .spm, of which
// target.spm cuts the other language), or a folder with the first of
//   tokenizer.json
//   source.spm and vocab.json                      (Marian)
//   spiece.model (T5), tokenizer.model (Llama and its like)
//   vocab.json and merges.txt                      (GPT-2, RoBERTa)
//   vocab.txt                                      (BERT)
// beside the tokenizer_config.json that the classic files are explained by. Truncation and padding
// in the file are not done: that is for those who make batches. Throws Error (bad_input) that names
// the file and the place for anything that is not understood.
Tokenizer read_tokenizer(const std::filesystem::path& path);

struct EncodeOptions {
  bool special_tokens = true;  // with what the model expects around a text
};

// Throws Error (bad_input) naming the place if the text is not UTF-8, or if the vocabulary has no
// token for a part of it, not even one for the unknown.
Encoding encode(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& = {});
// Two texts as one input. The offsets of each count from its own beginning.
Encoding encode_pair(const Tokenizer& tokenizer, std::string_view first, std::string_view second,
                     const EncodeOptions& = {});

struct DecodeOptions {
  bool special_tokens = false;  // with the special tokens in the text
};

// Throws Error (usage) for an id that has no token.
std::string decode(const Tokenizer& tokenizer, std::span<const int64_t> ids,
                   const DecodeOptions& = {});

}  // namespace headlight::text
