#include "text/token_table.h"

#include <fmt/format.h>

#include "headlight/error.h"

namespace headlight::text {

void TokenTable::add(std::string_view text, int64_t id) {
  constexpr int64_t kMostIds = 1 << 24;
  if (id < 0 || id >= kMostIds) {
    throw Error(ErrorKind::bad_input,
                fmt::format("token \"{}\" has the id {}; ids are 0 to {}", text, id, kMostIds - 1));
  }
  const auto index = static_cast<size_t>(id);
  if (index >= texts_.size()) texts_.resize(index + 1);
  texts_[index] = text;
  ids_.insert_or_assign(std::string(text), static_cast<TokenId>(id));
}

std::optional<TokenId> TokenTable::find(std::string_view text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* TokenTable::text_of(int64_t id) const {
  if (id < 0 || id >= id_limit()) return nullptr;
  const auto& text = texts_[static_cast<size_t>(id)];
  return text ? &*text : nullptr;
}

}  // namespace headlight::text
