// All tokens that begin a text, shortest first.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/flat_map.h"
#include "text/token_table.h"

namespace headlight::text {

class PieceTrie {
 public:
  using Node = uint32_t;
  static constexpr Node kRoot = 0, kNowhere = ~Node{0};

  void add(std::string_view text, TokenId id) {
    Node node = kRoot;
    for (const char c : text) {
      const uint64_t key = key_of(node, c);
      const Node* next = edges_.find(key);
      if (next == nullptr) {
        edges_.set(key, static_cast<Node>(ids_.size()));
        node = static_cast<Node>(ids_.size());
        ids_.push_back(-1);
      } else {
        node = *next;
      }
    }
    ids_[node] = id;
  }
  Node step(Node node, char c) const {
    const Node* next = edges_.find(key_of(node, c));
    return next == nullptr ? kNowhere : *next;
  }
  Node walk(Node node, std::string_view text) const {
    for (const char c : text)
      if (node != kNowhere) node = step(node, c);
    return node;
  }
  TokenId id_at(Node node) const { return ids_[node]; }  // -1: no token ends here

 private:
  static uint64_t key_of(Node node, char c) {
    return uint64_t{node} << 8 | static_cast<unsigned char>(c);
  }
  FlatMap<Node> edges_;
  std::vector<TokenId> ids_ = {-1};
};

}  // namespace headlight::text
