// What a tokenizer makes of a text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/aligned_text.h"

namespace headlight::text {

// One entry per token in every list.
struct Encoding {
  std::vector<int64_t> ids;
  // Where it stands in the original text, in Unicode code points; [0, 0) for a token that the
  // tokenizer put around the text.
  std::vector<Span> offsets;
  std::vector<std::string> tokens;
  std::vector<bool> special;      // whether the tokenizer put it around the text
  std::vector<int64_t> type_ids;  // 0 or 1: which text of a pair it belongs to

  size_t size() const { return ids.size(); }
};

}  // namespace headlight::text
