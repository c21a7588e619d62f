#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "headlight/error.h"
#include "text/byte_characters.h"
#include "text/flat_map.h"
#include "text/utf8.h"
#include "text/word_model.h"

namespace headlight::text {
namespace {

constexpr TokenId kNone = -1;

struct Merge {
  uint32_t rank;
  TokenId result;
};

uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// A part of the word; merged ones leave an empty place behind.
struct WordPart {
  TokenId id;
  uint32_t bytes;
  int before, after;
};

struct Candidate {
  uint32_t rank;
  int place;
  TokenId result;
  // Ordered as a heap wants it: the lowest rank first, then the leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : place > other.place;
  }
};

class Bpe : public WordModel {
 public:
  Bpe(TokenTable tokens, const BpeOptions& options, bool reads_bytes)
      : WordModel(std::move(tokens)), options_(options), reads_bytes_(reads_bytes) {
    options_.merges.clear();
    if (!options.unknown.empty()) {
      unknown_ = tokens_.find(options.unknown).value_or(kNone);
      if (unknown_ == kNone)
        throw Error(ErrorKind::bad_input, fmt::format("the token for the unknown, \"{}\", is not "
                                                      "in the vocabulary",
                                                      options.unknown));
    }
    uint32_t rank = 0;
    for (const auto& [left, right] : options.merges) {
      std::string_view rest = right;
      if (rest.size() >= options.continuing_prefix.size())
        rest.remove_prefix(options.continuing_prefix.size());
      merges_.set(pair_key(need(left), need(right)), {rank++, need(left + std::string(rest))});
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      byte_ids_[byte] = tokens_.find(byte_characters()[byte]).value_or(kNone);
      fallback_ids_[byte] = tokens_.find(fmt::format("<0x{:02X}>", byte)).value_or(kNone);
    }
  }

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    if (options_.ignore_merges) {
      if (const auto id = whole_word(word)) {
        out.push_back({*id, 0, static_cast<uint32_t>(word.size())});
        return;
      }
    }
    thread_local std::vector<WordPart> parts;
    parts.clear();
    split(word, parts);
    merge(parts);
    uint32_t at = 0;
    for (const WordPart& part : parts) {
      if (part.bytes == 0) continue;
      out.push_back({part.id, at, at + part.bytes});
      at += part.bytes;
    }
  }

 private:
  TokenId need(const std::string& text) const {
    if (const auto id = tokens_.find(text)) return *id;
    throw Error(
        ErrorKind::bad_input,
        fmt::format("a merge needs the token \"{}\", which is not in the vocabulary", text));
  }

  std::optional<TokenId> whole_word(std::string_view word) const {
    if (!reads_bytes_) return tokens_.find(word);
    std::string written;
    for (const char c : word) written += byte_characters()[static_cast<unsigned char>(c)];
    return tokens_.find(written);
  }

  static void add(std::vector<WordPart>& parts, TokenId id, size_t bytes) {
    const int place = static_cast<int>(parts.size());
    if (place > 0) parts.back().after = place;
    parts.push_back({id, static_cast<uint32_t>(bytes), place - 1, -1});
  }

  // The word in single characters.
  void split(std::string_view word, std::vector<WordPart>& parts) const {
    if (reads_bytes_) {
      for (const char c : word) add(parts, byte_ids_[static_cast<unsigned char>(c)], 1);
      return;
    }
    size_t unknown_bytes = 0;
    const auto flush = [&] {
      if (unknown_bytes > 0) add(parts, unknown_, unknown_bytes);
      unknown_bytes = 0;
    };
    std::string decorated;
    for (size_t at = 0; at < word.size();) {
      const size_t bytes = character_at(word, at).bytes;
      std::string_view character = word.substr(at, bytes);
      const bool first = at == 0, last = at + bytes == word.size();
      at += bytes;
      if ((!first && !options_.continuing_prefix.empty()) ||
          (last && !options_.end_of_word_suffix.empty())) {
        decorated = first ? "" : options_.continuing_prefix;
        decorated += character;
        if (last) decorated += options_.end_of_word_suffix;
        character = decorated;
      }
      if (const auto id = tokens_.find(character)) {
        flush();
        add(parts, *id, bytes);
      } else if (options_.byte_fallback && all_bytes_known(character)) {
        for (const char c : character) add(parts, fallback_ids_[static_cast<unsigned char>(c)], 1);
      } else if (unknown_ != kNone) {
        if (!options_.fuse_unknown) flush();
        unknown_bytes += bytes;
      }
    }
    flush();
  }

  bool all_bytes_known(std::string_view text) const {
    return std::all_of(text.begin(), text.end(), [&](char c) {
      return fallback_ids_[static_cast<unsigned char>(c)] != kNone;
    });
  }

  void merge(std::vector<WordPart>& parts) const {
    thread_local std::vector<Candidate> heap;
    heap.clear();
    const auto consider = [&](int left, int right) {
      const Merge* found = merges_.find(
          pair_key(parts[static_cast<size_t>(left)].id, parts[static_cast<size_t>(right)].id));
      if (found != nullptr) heap.push_back({found->rank, left, found->result});
      return found != nullptr;
    };
    for (int i = 0; i + 1 < static_cast<int>(parts.size()); ++i) consider(i, i + 1);
    std::make_heap(heap.begin(), heap.end());
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end());
      const Candidate best = heap.back();
      heap.pop_back();
      WordPart& left = parts[static_cast<size_t>(best.place)];
      if (left.bytes == 0 || left.after < 0) continue;
      WordPart& right = parts[static_cast<size_t>(left.after)];
      const Merge* still = merges_.find(pair_key(left.id, right.id));
      if (still == nullptr || still->result != best.result) continue;  // one of the two has grown
      left.id = best.result;
      left.bytes += right.bytes;
      left.after = right.after;
      right.bytes = 0;
      if (left.after >= 0) parts[static_cast<size_t>(left.after)].before = best.place;
      if (left.before >= 0 && consider(left.before, best.place))
        std::push_heap(heap.begin(), heap.end());
      if (left.after >= 0 && consider(best.place, left.after))
        std::push_heap(heap.begin(), heap.end());
    }
  }

  BpeOptions options_;
  bool reads_bytes_;
  TokenId unknown_ = kNone;
  FlatMap<Merge> merges_;
  std::array<TokenId, 256> byte_ids_;      // of the characters that GPT-2 writes for bytes
  std::array<TokenId, 256> fallback_ids_;  // of <0x00> to <0xFF>
};

}  // namespace

std::unique_ptr<WordModel> make_bpe(TokenTable tokens, const BpeOptions& options) {
  return std::make_unique<Bpe>(std::move(tokens), options, false);
}

bool can_read_bytes(const TokenTable& tokens, const BpeOptions& options) {
  return !options.byte_fallback && options.continuing_prefix.empty() &&
         options.end_of_word_suffix.empty() &&
         std::all_of(byte_characters().begin(), byte_characters().end(),
                     [&](const std::string& c) { return tokens.find(c).has_value(); });
}

std::unique_ptr<WordModel> make_byte_bpe(TokenTable tokens, const BpeOptions& options) {
  return std::make_unique<Bpe>(std::move(tokens), options, true);
}

}  // namespace headlight::text
