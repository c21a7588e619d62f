#include "text/precompiled_charsmap.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <cstring>
#include <memory>
#include <optional>

#include "headlight/error.h"

namespace headlight::text {
namespace {

// What the shortest prefix of `text` in the map becomes.
std::optional<std::string_view> look_up(const PrecompiledCharsmap& map, std::string_view text) {
  if (map.trie.empty()) return std::nullopt;
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); };
  size_t node = offset(map.trie[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= map.trie.size()) break;
    const uint32_t unit = map.trie[node];
    if ((unit & ((1U << 31) | 0xFF)) != byte) break;
    node ^= offset(unit);
    if ((unit >> 8 & 1) == 0) continue;
    if (node >= map.trie.size()) break;
    const size_t place = map.trie[node] & ((1U << 31) - 1);
    if (place >= map.replacements.size()) break;
    return std::string_view(map.replacements.c_str() + place);
  }
  return std::nullopt;
}

// Counts what is inserted or swallowed at the end of a replacement, as the Rust library does.
void put_replacement(std::vector<ChangedCharacter>& out, std::string_view before,
                     std::string_view after) {
  const int grown =
      static_cast<int>(count_characters(after)) - static_cast<int>(count_characters(before));
  for (size_t at = 0; at < after.size();) {
    const Character c = character_at(after, at);
    out.push_back({c.code, 0});
    at += c.bytes;
  }
  for (int i = 0; i < grown; ++i) out[out.size() - 1 - static_cast<size_t>(i)].change = 1;
  if (grown < 0 && !out.empty()) out.back().change += grown;
}

// Ends of what a reader sees as one character (UAX 29).
class Graphemes {
 public:
  explicit Graphemes(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    thread_local const std::unique_ptr<UBreakIterator, void (*)(UBreakIterator*)> shared(
        ubrk_open(UBRK_CHARACTER, "", nullptr, 0, &status), ubrk_close);
    breaks_ = shared.get();
    if (breaks_ == nullptr) throw Error(ErrorKind::no_resources, "ICU has no break rules");
    status = U_ZERO_ERROR;
    text_.reset(utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status));
    ubrk_setUText(breaks_, text_.get(), &status);
    if (U_FAILURE(status)) throw Error(ErrorKind::no_resources, "ICU cannot split characters");
  }
  size_t end_of(size_t begin) {
    const int32_t end = ubrk_following(breaks_, static_cast<int32_t>(begin));
    return static_cast<size_t>(end);
  }

 private:
  UBreakIterator* breaks_;
  std::unique_ptr<UText, UText* (*)(UText*)> text_{nullptr, utext_close};
};

}  // namespace

PrecompiledCharsmap parse_charsmap(std::string_view bytes) {
  PrecompiledCharsmap map;
  if (bytes.empty()) return map;
  uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof trie_bytes)
    throw Error(ErrorKind::bad_input, "the character map is cut off");
  std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
  bytes.remove_prefix(sizeof trie_bytes);
  if (trie_bytes > bytes.size() || trie_bytes % 4 != 0)
    throw Error(ErrorKind::bad_input, "the character map is cut off");
  map.trie.resize(trie_bytes / 4);
  if (trie_bytes > 0) std::memcpy(map.trie.data(), bytes.data(), trie_bytes);
  map.replacements = bytes.substr(trie_bytes);
  return map;
}

PrecompiledCharsmap read_charsmap(std::string_view base64) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : base64) {
    if (c == '=') break;
    const std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t value = alphabet.find(c);
    if (value == std::string_view::npos)
      throw Error(ErrorKind::bad_input, "the character map is not base64");
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count & 0xFF));
    }
  }
  return parse_charsmap(bytes);
}

void apply_charsmap(const PrecompiledCharsmap& map, AlignedText& text) {
  const std::string& from = text.text;
  std::optional<Graphemes> graphemes;
  if (!is_ascii(from)) graphemes.emplace(from);
  std::vector<ChangedCharacter> out;
  out.reserve(from.size());
  bool changed = false;
  const auto replace = [&](std::string_view part) {
    const auto replacement = look_up(map, part);
    if (replacement) {
      put_replacement(out, part, *replacement);
      changed = true;
    }
    return replacement.has_value();
  };
  for (size_t at = 0; at < from.size();) {
    const auto ascii = [&](size_t i) {
      return i >= from.size() || static_cast<unsigned char>(from[i]) < 0x80;
    };
    size_t end = at + 1;
    if (ascii(at) && ascii(end)) {
      if (from[at] == '\r' && end < from.size() && from[end] == '\n') ++end;
    } else {
      end = graphemes->end_of(at);
    }
    const std::string_view cluster = std::string_view(from).substr(at, end - at);
    // Longer clusters are never in the map as a whole; this limit is the format's own.
    if (cluster.size() >= 6 || !replace(cluster)) {
      for (size_t i = 0; i < cluster.size();) {
        const Character c = character_at(cluster, i);
        if (!replace(cluster.substr(i, c.bytes))) out.push_back({c.code, 0});
        i += c.bytes;
      }
    }
    at = end;
  }
  if (changed) replace_characters(text, out);
}

}  // namespace headlight::text
