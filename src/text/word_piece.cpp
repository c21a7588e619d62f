#include <fmt/format.h>

#include "headlight/error.h"
#include "text/piece_trie.h"
#include "text/utf8.h"
#include "text/word_model.h"

namespace headlight::text {
namespace {

TokenId unknown_of(const TokenTable& tokens, const std::string& unknown) {
  if (const auto id = tokens.find(unknown)) return *id;
  throw Error(ErrorKind::bad_input,
              fmt::format("the token for the unknown, \"{}\", is not in the vocabulary", unknown));
}

class WordPiece : public WordModel {
 public:
  WordPiece(TokenTable tokens, const WordPieceOptions& options)
      : WordModel(std::move(tokens)),
        unknown_(unknown_of(tokens_, options.unknown)),
        longest_word_(options.longest_word) {
    tokens_.for_each([&](const std::string& text, TokenId id) { trie_.add(text, id); });
    continuing_ = trie_.walk(PieceTrie::kRoot, options.continuing_prefix);
  }

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    const size_t before = out.size();
    const auto whole = static_cast<uint32_t>(word.size());
    if (static_cast<int64_t>(count_characters(word)) <= longest_word_) {
      for (uint32_t at = 0; at < whole;) {
        const WordToken next = longest(word, at);
        if (next.end == at) break;
        out.push_back(next);
        at = next.end;
      }
      if (out.size() > before && out.back().end == whole) return;
    }
    out.resize(before);
    out.push_back({unknown_, 0, whole});
  }

 private:
  WordToken longest(std::string_view word, uint32_t begin) const {
    WordToken best{0, begin, begin};
    PieceTrie::Node node = begin == 0 ? PieceTrie::kRoot : continuing_;
    for (uint32_t at = begin; at < word.size() && node != PieceTrie::kNowhere; ++at) {
      node = trie_.step(node, word[at]);
      if (node != PieceTrie::kNowhere && trie_.id_at(node) >= 0)
        best = {trie_.id_at(node), begin, at + 1};
    }
    return best;
  }

  PieceTrie trie_;
  PieceTrie::Node continuing_;
  TokenId unknown_;
  int64_t longest_word_;
};

class WordLevel : public WordModel {
 public:
  WordLevel(TokenTable tokens, const std::string& unknown)
      : WordModel(std::move(tokens)), unknown_(tokens_.find(unknown)) {}

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    auto id = tokens_.find(word);
    if (!id) id = unknown_;
    if (!id)
      throw Error(ErrorKind::bad_input,
                  fmt::format("the vocabulary has no \"{}\" and no token for the unknown", word));
    out.push_back({*id, 0, static_cast<uint32_t>(word.size())});
  }

 private:
  std::optional<TokenId> unknown_;
};

}  // namespace

std::unique_ptr<WordModel> make_word_piece(TokenTable tokens, const WordPieceOptions& options) {
  return std::make_unique<WordPiece>(std::move(tokens), options);
}

std::unique_ptr<WordModel> make_word_level(TokenTable tokens, const std::string& unknown) {
  return std::make_unique<WordLevel>(std::move(tokens), unknown);
}

}  // namespace headlight::text
