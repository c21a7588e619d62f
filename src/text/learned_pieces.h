// A vocabulary learned from lines of text, as the tokenizer.json that goes with a model.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace headlight::text {

// The first ids of every vocabulary that is learned here; then come 256 bytes, then words' pieces.
inline constexpr int64_t kPadding = 0;  // <pad>
inline constexpr int64_t kEnd = 1;      // </s>
inline constexpr int64_t kUnknown = 2;  // <unk>
inline constexpr int64_t kBegin = 3;    // <s>
inline constexpr int64_t kFirstPiece = 4;
// What tokens become that are to be guessed; comes after the pieces, where there is one.
inline constexpr const char* kMask = "<mask>";

// By id: text and logarithm of its probability.
using Pieces = std::vector<std::pair<std::string, double>>;

// At most `pieces` of them by a unigram language model (Kudo 2018; sentencepiece), fewer where the
// lines have no more; single bytes for characters that the lines do not have. The same lines give
// the same pieces. Throws Error: usage if `pieces` is out of range, bad_input for lines without
// text. Lines are UTF-8.
Pieces learn_pieces(const std::vector<std::string>& lines, int64_t pieces);

struct TokenizerForm {
  bool lower_case = false;         // of the text, before it is cut
  bool keep_spaces = false;        // otherwise spaces at both ends go and several become one
  bool begin = false, end = true;  // <s> before and </s> behind every text
  bool mask = false;               // with <mask>
};

// What read_tokenizer() and the tokenizers library read.
nlohmann::ordered_json tokenizer_json(const Pieces& pieces, const TokenizerForm& form);

}  // namespace headlight::text
