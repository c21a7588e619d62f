#include "app/token_rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "headlight/error.h"

namespace headlight::app {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse_tokens(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

void describe(const text::Encoding& encoding, TokenRow& row) {
  row.ids = encoding.ids;
  row.types = encoding.type_ids;
  row.words.tokens = encoding.tokens;
  for (size_t i = 1; i < encoding.size(); ++i)
    if (encoding.special[i]) row.words.separators.push_back(static_cast<int64_t>(i));
  // Nothing but what the tokenizer puts around every text.
  if (std::find(encoding.special.begin(), encoding.special.end(), false) == encoding.special.end())
    refuse_tokens(fmt::format("{}: holds no text that makes a token", row.where));
  row.words.starts_special = encoding.special[0];
}

template <typename Encode>
TokenRow described(const std::string& where, Encode encode) {
  TokenRow row{.where = where};
  try {
    describe(encode(), row);
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.kind(), message.starts_with(where) ? message : where + ": " + message);
  }
  return row;
}

}  // namespace

text::Tokenizer tokenizer_of(const fs::path& path) {
  try {
    return text::read_tokenizer(path);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}; give --tokens with ids instead", error.what()));
  }
}

TokenRow encoded(const text::Tokenizer& tokenizer, const Line& line) {
  return described(line.where, [&] { return text::encode(tokenizer, line.text); });
}

TokenRow encoded(const text::Tokenizer& tokenizer, const Line& first, const Line& second) {
  return described(first.where,
                   [&] { return text::encode_pair(tokenizer, first.text, second.text); });
}

std::vector<TokenRow> encoded(const text::Tokenizer& tokenizer, const std::vector<Line>& lines) {
  std::vector<TokenRow> rows;
  for (const Line& line : lines) rows.push_back(encoded(tokenizer, line));
  return rows;
}

TokenRow numbers_in(const std::string& text) {
  TokenRow row{.where = "--tokens"};
  const char *at = text.data(), *const end = at + text.size();
  while (true) {
    while (at < end && *at == ' ') ++at;
    int64_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc())
      throw Error(ErrorKind::usage,
                  fmt::format("--tokens takes ids with commas between them, as in 101,2002,102; "
                              "number {} of \"{}\" is none",
                              row.ids.size() + 1, text));
    row.ids.push_back(id);
    at = next;
    while (at < end && *at == ' ') ++at;
    if (at == end) return row;
    if (*at++ != ',')
      throw Error(ErrorKind::usage,
                  fmt::format("--tokens takes ids with commas between them; there is none behind "
                              "number {}",
                              row.ids.size()));
  }
}

void check(const TokenRow& row, const model::Config& c, const model::Stack& stack) {
  const auto length = static_cast<int64_t>(row.ids.size());
  const int64_t most = longest_text(c, stack);
  if (most > 0 && length > most)
    refuse_tokens(
        fmt::format("{}: {} tokens, but the model has {} positions; give a shorter text, or "
                    "pieces of it as --lines",
                    row.where, length, most));
  const int64_t known = stack.tokens.size(0);
  for (size_t i = 0; i < row.ids.size(); ++i)
    if (row.ids[i] < 0 || row.ids[i] >= known)
      refuse_tokens(fmt::format("{}: token {} (from 0) is {}{}, but the model has ids from 0 to {}",
                                row.where, i, row.ids[i],
                                i < row.words.tokens.size()
                                    ? fmt::format(" ('{}' of the tokenizer)", row.words.tokens[i])
                                    : "",
                                known - 1));
}

TokenBatch padded(const std::vector<TokenRow>& rows, int64_t padding) {
  size_t length = 0;
  for (const TokenRow& row : rows) length = std::max(length, row.ids.size());
  const auto count = static_cast<int64_t>(rows.size()), columns = static_cast<int64_t>(length);
  TokenBatch batch{at::full({count, columns}, padding, at::kLong),
                   at::zeros({count, columns}, at::kLong), at::zeros({count, columns}, at::kLong)};
  bool same = true;
  for (int64_t i = 0; i < count; ++i) {
    const TokenRow& row = rows[static_cast<size_t>(i)];
    const auto size = static_cast<int64_t>(row.ids.size());
    std::copy(row.ids.begin(), row.ids.end(), batch.ids[i].data_ptr<int64_t>());
    std::copy(row.types.begin(), row.types.end(), batch.types[i].data_ptr<int64_t>());
    batch.mask[i].narrow(0, 0, size).fill_(1);
    same &= size == columns;
  }
  if (same) batch.mask = at::Tensor();
  return batch;
}

std::vector<ModelInput::Words> words_of(std::vector<TokenRow>& rows) {
  std::vector<ModelInput::Words> words;
  for (TokenRow& row : rows)
    if (!row.words.tokens.empty()) words.push_back(std::move(row.words));
  return words;
}

}  // namespace headlight::app
