// The part of a tokenizer that turns one word into tokens.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/token_table.h"

namespace headlight::text {

struct WordToken {
  TokenId id = 0;
  uint32_t begin = 0, end = 0;  // bytes of the word
};

// Immutable once made; tokenize() may be called from any number of threads.
class WordModel {
 public:
  virtual ~WordModel() = default;
  // Appends the tokens of a word that is not empty. Throws Error (bad_input) if the model has no
  // token for it, not even one for the unknown.
  virtual void tokenize(std::string_view word, std::vector<WordToken>& out) const = 0;
  // Whether the text of a token is the part of the word that it stands for (unknown parts keep
  // their text), and not what the table says.
  virtual bool shows_word(TokenId) const { return false; }
  const TokenTable& tokens() const { return tokens_; }

 protected:
  explicit WordModel(TokenTable tokens) : tokens_(std::move(tokens)) {}
  TokenTable tokens_;
};

struct BpeOptions {
  std::vector<std::pair<std::string, std::string>> merges;  // the first is the most urgent
  std::string unknown;                                      // no token for it if empty
  std::string continuing_prefix;   // before every character but the first of a word
  std::string end_of_word_suffix;  // after the last one
  bool fuse_unknown = false;
  bool byte_fallback = false;  // characters that are not there become <0x00> to <0xFF>
  bool ignore_merges = false;  // a word that is a token is that token
};
// Byte-pair encoding (Sennrich et al. 2016). Throws Error (bad_input) for a merge whose parts or
// result are no tokens.
std::unique_ptr<WordModel> make_bpe(TokenTable tokens, const BpeOptions& options);
// Whether every byte has its token, as GPT-2 writes bytes, and nothing else is special: then
// make_byte_bpe gives the same tokens from the bytes themselves.
bool can_read_bytes(const TokenTable& tokens, const BpeOptions& options);
std::unique_ptr<WordModel> make_byte_bpe(TokenTable tokens, const BpeOptions& options);

struct WordPieceOptions {
  std::string unknown = "[UNK]";
  std::string continuing_prefix = "##";
  int64_t longest_word = 100;  // in characters; longer ones are unknown
};
// The longest token that begins the rest of the word, again and again (Schuster & Nakajima 2012).
std::unique_ptr<WordModel> make_word_piece(TokenTable tokens, const WordPieceOptions& options);

struct UnigramOptions {
  std::vector<std::pair<std::string, double>> pieces;  // with their log probabilities
  std::optional<int64_t> unknown;
  bool byte_fallback = false;
};
// The most probable pieces (Kudo 2018).
std::unique_ptr<WordModel> make_unigram(const UnigramOptions& options);

// A word is a token or unknown.
std::unique_ptr<WordModel> make_word_level(TokenTable tokens, const std::string& unknown);

}  // namespace headlight::text
