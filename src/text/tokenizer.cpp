#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "headlight/error.h"
#include "text/tokenizer_parts.h"
#include "text/vocabulary.h"

namespace headlight::text {
namespace {

void append(Encoding& encoding, int64_t id, Span span, std::string token, int64_t type_id) {
  encoding.ids.push_back(id);
  encoding.offsets.push_back(span);
  encoding.tokens.push_back(std::move(token));
  encoding.special.push_back(false);
  encoding.type_ids.push_back(type_id);
}

void append_words(const TokenizerParts& parts, const Words& words, int64_t type_id,
                  WordCache& cache, Encoding& out) {
  for (const Range& range : words.ranges) {
    const std::string_view word =
        std::string_view(words.text.text).substr(range.begin, range.end - range.begin);
    for (const WordToken& token : cache.tokens_of(word, *parts.model)) {
      const std::string* text =
          parts.model->shows_word(token.id) ? nullptr : parts.model->tokens().text_of(token.id);
      append(
          out, token.id, words.text.span_of(range.begin + token.begin, range.begin + token.end),
          text != nullptr ? *text : std::string(word.substr(token.begin, token.end - token.begin)),
          type_id);
    }
  }
}

Encoding encode_alone(const TokenizerParts& parts, std::string_view text, int64_t type_id,
                      WordCache& cache) {
  if (const size_t place = find_invalid_utf8(text); place != std::string_view::npos) {
    throw Error(ErrorKind::bad_input,
                fmt::format("the text is not UTF-8 at byte {} (0x{:02X}); convert it first", place,
                            static_cast<unsigned char>(text[place])));
  }
  Encoding out;
  const OriginalText original(text);
  for (const AddedTokenFinder::Part& part : parts.raw_finder.split(text)) {
    AlignedText stretch(original, part.range.begin, part.range.end);
    if (part.token != nullptr) {
      append(out, part.token->id, stretch.span_of(0, stretch.text.size()), stretch.text, type_id);
      continue;
    }
    normalize(parts.normalizers, stretch);
    for (const AddedTokenFinder::Part& inner : parts.normalized_finder.split(stretch.text)) {
      const auto [begin, end] = inner.range;
      if (inner.token != nullptr) {
        append(out, inner.token->id, stretch.span_of(begin, end),
               stretch.text.substr(begin, end - begin), type_id);
      } else {
        const bool whole = begin == 0 && end == stretch.text.size();
        if (whole) {
          append_words(parts, pre_tokenize(parts.pre_tokenizers, std::move(stretch)), type_id,
                       cache, out);
          break;
        }
        append_words(parts, pre_tokenize(parts.pre_tokenizers, stretch.slice(begin, end)), type_id,
                     cache, out);
      }
    }
  }
  return out;
}

Encoding encode_all(const Tokenizer& tokenizer, std::span<const std::string_view> texts,
                    const EncodeOptions& options) {
  TokenizerParts& parts = tokenizer.parts();
  std::vector<Encoding> encodings;
  parts.caches.with_one([&](WordCache& cache) {
    for (size_t i = 0; i < texts.size(); ++i)
      encodings.push_back(encode_alone(parts, texts[i], static_cast<int64_t>(i), cache));
  });
  return post_process(parts.post_processors, std::move(encodings), options.special_tokens);
}

}  // namespace

void TokenizerParts::finish() {
  raw_finder = AddedTokenFinder(added_tokens, false, normalizers);
  normalized_finder = AddedTokenFinder(added_tokens, true, normalizers);
  for (const AddedToken& token : added_tokens) {
    // As the library shows it: in its normal form.
    const OriginalText original(token.content);
    AlignedText content(original, 0, token.content.size());
    if (token.normalized) normalize(normalizers, content);
    added_by_id[token.id] = content.text;
    added_by_content[token.content] = token.id;
    if (token.special) special_contents.insert(token.content);
  }
}

const std::string* TokenizerParts::text_of(int64_t id) const {
  if (const auto added = added_by_id.find(id); added != added_by_id.end()) return &added->second;
  return model->tokens().text_of(id);
}

int64_t Tokenizer::id_limit() const {
  int64_t limit = parts_->model->tokens().id_limit();
  for (const AddedToken& token : parts_->added_tokens) limit = std::max(limit, token.id + 1);
  return limit;
}

std::optional<int64_t> Tokenizer::id_of(std::string_view token) const {
  if (const auto added = parts_->added_by_content.find(std::string(token));
      added != parts_->added_by_content.end())
    return added->second;
  return parts_->model->tokens().find(token);
}

std::optional<std::string> Tokenizer::token_of(int64_t id) const {
  const std::string* text = parts_->text_of(id);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

Encoding encode(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options) {
  return encode_all(tokenizer, std::span(&text, 1), options);
}

Encoding encode_pair(const Tokenizer& tokenizer, std::string_view first, std::string_view second,
                     const EncodeOptions& options) {
  const std::string_view texts[] = {first, second};
  return encode_all(tokenizer, texts, options);
}

std::string decode(const Tokenizer& tokenizer, std::span<const int64_t> ids,
                   const DecodeOptions& options) {
  const TokenizerParts& parts = tokenizer.parts();
  std::vector<std::string> tokens;
  for (const int64_t id : ids) {
    const std::string* text = parts.text_of(id);
    if (text == nullptr) {
      throw Error(ErrorKind::usage,
                  fmt::format("id {} has no token; this tokenizer has ids 0 to {}", id,
                              tokenizer.id_limit() - 1));
    }
    if (options.special_tokens || !parts.special_contents.contains(*text)) tokens.push_back(*text);
  }
  return decode(parts.decoders, std::move(tokens));
}

}  // namespace headlight::text
