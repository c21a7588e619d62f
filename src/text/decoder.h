// From tokens back to text.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "text/normalizer.h"

namespace headlight::text {

struct DecodeWordPiece {
  std::string prefix = "##";
  bool clean_up = true;  // no spaces before punctuation and in English contractions
};
struct DecodeByteLevel {};
struct DecodeMetaspace {
  std::string replacement = "\u2581";
  bool drop_first = true;  // the one before the text was put there
};
struct DecodeBpe {
  std::string suffix = "</w>";
};
struct DecodeByteFallback {};
struct FuseTokens {};
struct StripTokens {
  std::string content = " ";   // one character
  int64_t begin = 0, end = 0;  // at most so many on each side of every token
};

using Decoder = std::variant<DecodeWordPiece, DecodeByteLevel, DecodeMetaspace, DecodeBpe,
                             DecodeByteFallback, FuseTokens, StripTokens, ReplaceText>;

// Without decoders: the tokens with spaces between them.
std::string decode(const std::vector<Decoder>& decoders, std::vector<std::string> tokens);

}  // namespace headlight::text
