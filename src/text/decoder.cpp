#include "text/decoder.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <utility>

#include "text/byte_characters.h"
#include "text/vocabulary.h"

namespace headlight::text {
namespace {

using Tokens = std::vector<std::string>;

constexpr std::string_view kReplacementCharacter = "\uFFFD";

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  if (what.empty()) return;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
}

// How many bytes of a broken character stand at text[at]: the longest beginning of a good one.
size_t broken_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[at + k]); };
  const unsigned char first = byte(0);
  if (first < 0xC2 || first > 0xF4) return 1;
  const size_t wanted = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  size_t length = 1;
  for (; length < wanted && at + length < text.size(); ++length) {
    const unsigned char next = byte(length);
    const unsigned char low = length > 1      ? 0x80
                              : first == 0xE0 ? 0xA0
                              : first == 0xF0 ? 0x90
                                              : 0x80;
    const unsigned char high = length > 1      ? 0xBF
                               : first == 0xED ? 0x9F
                               : first == 0xF4 ? 0x8F
                                               : 0xBF;
    if (next < low || next > high) break;
  }
  return length;
}

std::string with_broken_parts_replaced(std::string_view bytes) {
  std::string text;
  for (size_t at; (at = find_invalid_utf8(bytes)) != std::string_view::npos;) {
    text += bytes.substr(0, at);
    text += kReplacementCharacter;
    bytes.remove_prefix(at + broken_length(bytes, at));
  }
  return text += bytes;
}

void apply(const DecodeWordPiece& decoder, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string& token = tokens[i];
    if (i > 0) {
      if (token.starts_with(decoder.prefix))
        token.erase(0, decoder.prefix.size());
      else
        token.insert(0, " ");
    }
    if (!decoder.clean_up) continue;
    using Pair = std::pair<std::string_view, std::string_view>;
    for (const auto& [what, by] : std::initializer_list<Pair>{{" .", "."},
                                                              {" ?", "?"},
                                                              {" !", "!"},
                                                              {" ,", ","},
                                                              {" ' ", "'"},
                                                              {" n't", "n't"},
                                                              {" 'm", "'m"},
                                                              {" do not", " don't"},
                                                              {" 's", "'s"},
                                                              {" 've", "'ve"},
                                                              {" 're", "'re"}})
      replace_all(token, what, by);
  }
}

void apply(const DecodeByteLevel&, Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) {
    std::string own;
    bool all = true;
    for (size_t at = 0; at < token.size() && all;) {
      const Character c = character_at(token, at);
      const int byte = byte_of_character(c.code);
      all = byte >= 0;
      own.push_back(static_cast<char>(byte));
      at += c.bytes;
    }
    bytes += all ? own : token;
  }
  tokens = {with_broken_parts_replaced(bytes)};
}

void apply(const DecodeMetaspace& decoder, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i)
    replace_all(tokens[i], decoder.replacement, i == 0 && decoder.drop_first ? "" : " ");
}

void apply(const DecodeBpe& decoder, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i)
    replace_all(tokens[i], decoder.suffix, i + 1 == tokens.size() ? "" : " ");
}

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

void apply(const DecodeByteFallback&, Tokens& tokens) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (find_invalid_utf8(bytes) == std::string_view::npos)
      out.push_back(bytes);
    else
      out.insert(out.end(), bytes.size(), std::string(kReplacementCharacter));
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byte_of_token(token)) {
      bytes.push_back(*byte);
    } else {
      flush();
      out.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(out);
}

void apply(const FuseTokens&, Tokens& tokens) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  tokens = {all};
}

void apply(const StripTokens& decoder, Tokens& tokens) {
  for (std::string& token : tokens) {
    std::string_view rest = token;
    for (int64_t i = 0; i < decoder.begin && rest.starts_with(decoder.content); ++i)
      rest.remove_prefix(decoder.content.size());
    for (int64_t i = 0; i < decoder.end && rest.ends_with(decoder.content); ++i)
      rest.remove_suffix(decoder.content.size());
    token = std::string(rest);
  }
}

void apply(const ReplaceText& decoder, Tokens& tokens) {
  for (std::string& token : tokens) {
    const std::string* plain = std::get_if<std::string>(&decoder.pattern);
    if (plain != nullptr) {
      replace_all(token, *plain, decoder.content);
      continue;
    }
    std::string changed;
    size_t at = 0;
    for (const Range& match : std::get<Regex>(decoder.pattern).find_all(token)) {
      changed.append(token, at, match.begin - at);
      changed += decoder.content;
      at = match.end;
    }
    token = changed.append(token, at);
  }
}

}  // namespace

std::string decode(const std::vector<Decoder>& decoders, std::vector<std::string> tokens) {
  for (const Decoder& decoder : decoders)
    std::visit([&](const auto& step) { apply(step, tokens); }, decoder);
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (decoders.empty() && i > 0) text += ' ';
    text += tokens[i];
  }
  return text;
}

}  // namespace headlight::text
