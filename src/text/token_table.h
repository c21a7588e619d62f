// Tokens and their numbers, both ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace headlight::text {

using TokenId = int32_t;

class TokenTable {
 public:
  // Throws Error (bad_input) for ids below 0 or far beyond the number of tokens.
  void add(std::string_view text, int64_t id);
  std::optional<TokenId> find(std::string_view text) const;
  // Null if no token has this id.
  const std::string* text_of(int64_t id) const;
  int64_t size() const { return static_cast<int64_t>(ids_.size()); }
  int64_t id_limit() const { return static_cast<int64_t>(texts_.size()); }  // highest id + 1

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& [text, id] : ids_) visit(text, id);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  std::vector<std::optional<std::string>> texts_;
};

}  // namespace headlight::text
