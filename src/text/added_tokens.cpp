#include "text/added_tokens.h"

#include <algorithm>

#include "text/character_class.h"
#include "text/utf8.h"

namespace headlight::text {
namespace {

bool word_before(std::string_view text, size_t at) {
  return at > 0 && is_word_character(character_before(text, at).code);
}

bool word_after(std::string_view text, size_t at) {
  return at < text.size() && is_word_character(character_at(text, at).code);
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens, bool normalized,
                                   const std::vector<Normalizer>& normalizers) {
  std::vector<AddedToken> sorted = tokens;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.special > b.special; });
  for (const AddedToken& token : sorted) {
    if (token.normalized != normalized) continue;
    const OriginalText original(token.content);
    AlignedText content(original, 0, token.content.size());
    if (normalized) normalize(normalizers, content);
    const PieceTrie::Node there = trie_.walk(PieceTrie::kRoot, content.text);
    if (content.text.empty() || (there != PieceTrie::kNowhere && trie_.id_at(there) >= 0)) continue;
    trie_.add(content.text, static_cast<TokenId>(tokens_.size()));
    begins_[static_cast<unsigned char>(content.text[0])] = true;
    tokens_.push_back(token);
  }
}

AddedTokenFinder::Match AddedTokenFinder::longest_at(std::string_view text, size_t at) const {
  Match best;
  PieceTrie::Node node = PieceTrie::kRoot;
  for (size_t end = at; end < text.size();) {
    node = trie_.step(node, text[end++]);
    if (node == PieceTrie::kNowhere) break;
    if (trie_.id_at(node) >= 0) best = {end, &tokens_[static_cast<size_t>(trie_.id_at(node))]};
  }
  return best;
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split(std::string_view text) const {
  std::vector<Part> parts;
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    if (!begins_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const auto [end, token] = longest_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    Range range{at, end};
    at = end;
    if (token->single_word && (word_before(text, range.begin) || word_after(text, range.end)))
      continue;
    while (token->left_strip && range.begin > done) {
      const Character c = character_before(text, range.begin);
      if (!is_whitespace(c.code)) break;
      range.begin -= c.bytes;
    }
    while (token->right_strip && range.end < text.size()) {
      const Character c = character_at(text, range.end);
      if (!is_whitespace(c.code)) break;
      range.end += c.bytes;
    }
    at = std::max(at, range.end);
    if (range.begin > done) parts.push_back({{done, range.begin}, nullptr});
    parts.push_back({range, token});
    done = range.end;
  }
  if (done < text.size()) parts.push_back({{done, text.size()}, nullptr});
  return parts;
}

}  // namespace headlight::text
