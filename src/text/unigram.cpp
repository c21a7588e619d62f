#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "headlight/error.h"
#include "text/piece_trie.h"
#include "text/utf8.h"
#include "text/word_model.h"

namespace headlight::text {
namespace {

constexpr double kUnknownPenalty = 10;  // below the least probable piece

TokenTable table_of(const UnigramOptions& options) {
  TokenTable tokens;
  int64_t id = 0;
  for (const auto& [text, score] : options.pieces) tokens.add(text, id++);
  return tokens;
}

class Unigram : public WordModel {
 public:
  explicit Unigram(const UnigramOptions& options)
      : WordModel(table_of(options)), byte_fallback_(options.byte_fallback) {
    const auto count = static_cast<int64_t>(options.pieces.size());
    if (options.unknown) {
      if (*options.unknown < 0 || *options.unknown >= count)
        throw Error(ErrorKind::bad_input,
                    fmt::format("unk_id {} is not one of the {} pieces", *options.unknown, count));
      unknown_ = static_cast<TokenId>(*options.unknown);
    }
    double lowest = std::numeric_limits<double>::infinity();
    for (const auto& [text, score] : options.pieces) {
      lowest = std::min(lowest, score);
      scores_.push_back(score);
    }
    unknown_score_ = lowest - kUnknownPenalty;
    tokens_.for_each([&](const std::string& text, TokenId id) {
      if (!text.empty()) trie_.add(text, id);
    });
    for (size_t byte = 0; byte < 256; ++byte)
      fallback_ids_[byte] = tokens_.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }

  bool shows_word(TokenId id) const override { return id == unknown_; }

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    thread_local std::vector<Step> best;
    find_best_path(word, best);
    const size_t first = out.size();
    // From the end to the beginning; neighbours that are unknown become one.
    bool fusing = false;
    for (uint32_t end = static_cast<uint32_t>(word.size()); end > 0;) {
      const Step& step = best[end];
      const bool unknown = step.id == unknown_;
      if (unknown && fusing)
        out.back().begin = step.begin;
      else
        out.push_back({step.id, step.begin, end});
      fusing = unknown;
      end = step.begin;
    }
    std::reverse(out.begin() + static_cast<ptrdiff_t>(first), out.end());
    if (unknown_ >= 0) resolve_unknown(word, first, out);
  }

 private:
  struct Step {
    double score = 0;
    uint32_t begin = kUnreached;
    TokenId id = 0;
  };
  static constexpr uint32_t kUnreached = ~uint32_t{0};

  static void improve(Step& step, double score, size_t begin, TokenId id) {
    if (step.begin == kUnreached || score > step.score)
      step = {score, static_cast<uint32_t>(begin), id};
  }

  // best[i]: the last piece of the most probable way to write word[0, i).
  void find_best_path(std::string_view word, std::vector<Step>& best) const {
    best.assign(word.size() + 1, {});
    for (size_t at = 0; at < word.size();) {
      const size_t next = at + character_at(word, at).bytes;
      const double score = best[at].score;
      bool single = false;
      PieceTrie::Node node = PieceTrie::kRoot;
      for (size_t end = at; end < word.size();) {
        node = trie_.step(node, word[end++]);
        if (node == PieceTrie::kNowhere) break;
        const TokenId id = trie_.id_at(node);
        if (id < 0) continue;
        improve(best[end], score + scores_[static_cast<size_t>(id)], at, id);
        single = single || end == next;
      }
      if (!single) {
        if (unknown_ < 0)
          throw Error(ErrorKind::bad_input,
                      fmt::format("the vocabulary has no piece for \"{}\" and none for the unknown",
                                  word.substr(at, next - at)));
        improve(best[next], score + unknown_score_, at, unknown_);
      }
      at = next;
    }
  }

  // Fused text may be a piece after all, or be written in bytes.
  void resolve_unknown(std::string_view word, size_t first, std::vector<WordToken>& out) const {
    for (size_t i = first; i < out.size(); ++i) {
      if (out[i].id != unknown_) continue;
      const WordToken token = out[i];
      const std::string_view text = word.substr(token.begin, token.end - token.begin);
      if (const auto id = tokens_.find(text)) {
        out[i].id = *id;
      } else if (byte_fallback_ && all_bytes_known(text)) {
        out.insert(out.begin() + static_cast<ptrdiff_t>(i), text.size() - 1, token);
        for (const char c : text) out[i++].id = fallback_ids_[static_cast<unsigned char>(c)];
        --i;
      }
    }
  }

  bool all_bytes_known(std::string_view text) const {
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return fallback_ids_[static_cast<unsigned char>(c)] >= 0; });
  }

  PieceTrie trie_;
  std::vector<double> scores_;
  TokenId unknown_ = -1;
  double unknown_score_ = 0;
  bool byte_fallback_;
  std::array<TokenId, 256> fallback_ids_;
};

}  // namespace

std::unique_ptr<WordModel> make_unigram(const UnigramOptions& options) {
  return std::make_unique<Unigram>(options);
}

}  // namespace headlight::text
