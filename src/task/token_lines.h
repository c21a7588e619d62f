// Lines as a model reads them, in batches of about one length.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace headlight::task {

struct TokenLine {
  size_t number = 0;  // from 0
  std::vector<int64_t> ids;
  at::Tensor pixels;  // in place of ids
};

// Throws Error (bad_input) if the embedding `table` has no row for some of the tokenizer's ids.
void check_tokenizer(const text::Tokenizer& tokenizer, const at::Tensor& table,
                     const std::filesystem::path& folder);

// A line of more than `room` tokens (0: any number) is cut, but for what the tokenizer puts behind
// every text, or without `cut` refused. Throws Error (bad_input) that begins with `place`.
TokenLine read_token_line(const text::Tokenizer& tokenizer, const std::string& text, size_t number,
                          int64_t room, bool cut, const std::string& place);

// At most `most` lines of about one length together, or with `same` of just one, longest first;
// lines without tokens or pixels are left out.
std::vector<std::vector<TokenLine>> batches_of(std::vector<TokenLine> lines, bool same,
                                               int64_t most);

// [lines, longest], padded at the end, where it changes nothing; lengths [lines].
at::Tensor padded_lines(const std::vector<TokenLine>& batch, at::Tensor& lengths);

}  // namespace headlight::task
