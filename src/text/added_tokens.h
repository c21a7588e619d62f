// Tokens that are found in the text before anything else looks at it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/piece_trie.h"

namespace headlight::text {

struct AddedToken {
  std::string content;
  int64_t id = 0;
  bool special = false;      // left out of decoded text on request
  bool normalized = false;   // looked for after normalization, in its own normal form
  bool single_word = false;  // not inside of a word
  bool left_strip = false;   // takes the spaces before it
  bool right_strip = false;  // takes the spaces after it
};

// Finds some of the added tokens: from left to right, the longest of those that begin first.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  // Those whose `normalized` is as given; their contents are normalized if it is true.
  AddedTokenFinder(const std::vector<AddedToken>& tokens, bool normalized,
                   const std::vector<Normalizer>& normalizers);

  struct Part {
    Range range;
    const AddedToken* token = nullptr;  // null: text between the tokens
  };
  // The whole text in parts; none of them is empty.
  std::vector<Part> split(std::string_view text) const;

 private:
  struct Match {
    size_t end = 0;
    const AddedToken* token = nullptr;
  };
  Match longest_at(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  PieceTrie trie_;
  std::array<bool, 256> begins_{};
};

}  // namespace headlight::text
