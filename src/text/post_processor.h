// What is put around encoded text.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "text/encoding.h"

namespace headlight::text {

struct TemplatePart {
  int sequence = -1;  // 0: the first text, 1: the second, -1: the tokens below
  std::vector<int64_t> ids;
  std::vector<std::string> tokens;
  int64_t type_id = 0;
};
struct Template {
  std::vector<TemplatePart> single, pair;
};
// Offsets without the spaces that byte-level tokens begin or end with.
struct TrimOffsets {
  bool add_prefix_space = true;  // the first token's one space was not in the text
};
struct RobertaTypes {};  // everything is of type 0

using PostProcessor = std::variant<Template, TrimOffsets, RobertaTypes>;

// One or two encodings become one. Without `special_tokens` nothing is put around them. Throws
// Error (bad_input) for two templates after one another.
Encoding post_process(const std::vector<PostProcessor>& processors, std::vector<Encoding> parts,
                      bool special_tokens);

}  // namespace headlight::text
