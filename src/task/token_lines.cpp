#include "task/token_lines.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "headlight/error.h"

namespace headlight::task {
namespace {

constexpr int64_t kBatchTokens = 16384;  // of what is read, padding included

// Without what does not fit, but with what the tokenizer puts behind a text.
std::vector<int64_t> fitting(const text::Encoding& encoding, int64_t room) {
  size_t behind = 0;
  while (behind < encoding.size() && encoding.special[encoding.size() - 1 - behind]) ++behind;
  const size_t kept = static_cast<size_t>(room) - std::min(behind, static_cast<size_t>(room));
  std::vector<int64_t> ids(encoding.ids.begin(),
                           encoding.ids.begin() + static_cast<std::ptrdiff_t>(kept));
  ids.insert(ids.end(), encoding.ids.end() - static_cast<std::ptrdiff_t>(behind),
             encoding.ids.end());
  return ids;
}

}  // namespace

void check_tokenizer(const text::Tokenizer& tokenizer, const at::Tensor& table,
                     const std::filesystem::path& folder) {
  if (tokenizer.id_limit() > table.size(0))
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: the tokenizer has ids up to {}, but the model's embedding has {} "
                            "rows; they do not belong together",
                            folder.string(), tokenizer.id_limit() - 1, table.size(0)));
}

TokenLine read_token_line(const text::Tokenizer& tokenizer, const std::string& text, size_t number,
                          int64_t room, bool cut, const std::string& place) {
  TokenLine line{number, {}, {}};
  try {
    const text::Encoding encoding = text::encode(tokenizer, text);
    line.ids = encoding.ids;
    if (room > 0 && static_cast<int64_t>(line.ids.size()) > room) {
      if (!cut)
        throw Error(ErrorKind::bad_input,
                    fmt::format("{} tokens, but the model reads {}; shorten it, or let --cut do so",
                                line.ids.size(), room));
      line.ids = fitting(encoding, room);
    }
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", place, error.what()));
  }
  return line;
}

std::vector<std::vector<TokenLine>> batches_of(std::vector<TokenLine> lines, bool same,
                                               int64_t most) {
  std::stable_sort(lines.begin(), lines.end(), [](const TokenLine& a, const TokenLine& b) {
    return a.ids.size() > b.ids.size();
  });
  std::vector<std::vector<TokenLine>> batches;
  for (TokenLine& line : lines) {
    if (line.ids.empty() && !line.pixels.defined()) continue;
    const bool fits = !batches.empty() && static_cast<int64_t>(batches.back().size()) < most &&
                      (!same || batches.back()[0].ids.size() == line.ids.size()) &&
                      static_cast<int64_t>((batches.back().size() + 1) *
                                           batches.back()[0].ids.size()) <= kBatchTokens;
    if (!fits) batches.emplace_back();
    batches.back().push_back(std::move(line));
  }
  return batches;
}

at::Tensor padded_lines(const std::vector<TokenLine>& batch, at::Tensor& lengths) {
  const auto rows = static_cast<int64_t>(batch.size());
  const auto columns = static_cast<int64_t>(batch[0].ids.size());
  at::Tensor ids = at::zeros({rows, columns}, at::kLong);
  lengths = at::empty({rows}, at::kLong);
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<int64_t>& line = batch[static_cast<size_t>(row)].ids;
    std::copy(line.begin(), line.end(), ids.data_ptr<int64_t>() + row * columns);
    lengths.data_ptr<int64_t>()[row] = static_cast<int64_t>(line.size());
  }
  return ids;
}

}  // namespace headlight::task
