#include "text/post_processor.h"

#include <algorithm>

#include "headlight/error.h"
#include "text/character_class.h"

namespace headlight::text {
namespace {

bool is_space(char32_t code) { return code == 0x120 || is_whitespace(code); }

// How many spaces the token begins and ends with; a token of nothing else counts for both.
std::pair<int64_t, int64_t> spaces_around(const std::string& token) {
  int64_t leading = 0, trailing = 0;
  for (size_t at = 0; at < token.size(); ++leading) {
    const Character c = character_at(token, at);
    if (!is_space(c.code)) break;
    at += c.bytes;
  }
  for (size_t at = token.size(); at > 0; ++trailing) {
    const Character c = character_before(token, at);
    if (!is_space(c.code)) break;
    at -= c.bytes;
  }
  return {leading, trailing};
}

void apply(const TrimOffsets& trim, std::vector<Encoding>& parts, bool) {
  for (Encoding& part : parts) {
    for (size_t i = 0; i < part.size(); ++i) {
      auto [leading, trailing] = spaces_around(part.tokens[i]);
      Span& span = part.offsets[i];
      if (leading > 0) {
        const bool first = i == 0 || span.begin == 0;
        if (first && trim.add_prefix_space && leading == 1) leading = 0;
        span.begin = std::min(span.begin + leading, span.end);
      }
      if (trailing > 0 && span.end >= trailing)
        span.end = std::max(span.end - trailing, span.begin);
    }
  }
}

void apply(const RobertaTypes&, std::vector<Encoding>& parts, bool) {
  for (Encoding& part : parts) std::fill(part.type_ids.begin(), part.type_ids.end(), 0);
}

void apply(const Template& frame, std::vector<Encoding>& parts, bool special_tokens) {
  if (parts.size() > 2)
    throw Error(ErrorKind::bad_input, "a template cannot be put around the result of another");
  std::vector<Encoding> result;
  for (const TemplatePart& piece : parts.size() == 1 ? frame.single : frame.pair) {
    if (piece.sequence >= 0) {
      if (static_cast<size_t>(piece.sequence) >= parts.size()) continue;
      result.push_back(parts[static_cast<size_t>(piece.sequence)]);
      std::fill(result.back().type_ids.begin(), result.back().type_ids.end(), piece.type_id);
    } else if (special_tokens) {
      const size_t count = piece.ids.size();
      result.push_back({piece.ids, std::vector<Span>(count), piece.tokens,
                        std::vector<bool>(count, true),
                        std::vector<int64_t>(count, piece.type_id)});
    }
  }
  parts = std::move(result);
}

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

Encoding post_process(const std::vector<PostProcessor>& processors, std::vector<Encoding> parts,
                      bool special_tokens) {
  for (const PostProcessor& processor : processors)
    std::visit([&](const auto& step) { apply(step, parts, special_tokens); }, processor);
  if (parts.empty()) return {};
  Encoding whole = std::move(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    append(whole.ids, parts[i].ids);
    append(whole.offsets, parts[i].offsets);
    append(whole.tokens, parts[i].tokens);
    whole.special.insert(whole.special.end(), parts[i].special.begin(), parts[i].special.end());
    append(whole.type_ids, parts[i].type_ids);
  }
  return whole;
}

}  // namespace headlight::text
