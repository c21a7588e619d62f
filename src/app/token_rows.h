// From texts to the ids that a stack reads, and rows of them as one batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/model_input.h"
#include "app/text_lines.h"
#include "text/tokenizer.h"

namespace headlight::app {

// One example as the model reads it.
struct TokenRow {
  std::string where;  // for messages
  std::vector<int64_t> ids, types;
  ModelInput::Words words;
};

// A tokenizer may have more ids than a model has rows; check() refuses texts that use them.
text::Tokenizer tokenizer_of(const std::filesystem::path& path);

// Throw Error (bad_input) with the line's place for what makes no token.
TokenRow encoded(const text::Tokenizer& tokenizer, const Line& line);
TokenRow encoded(const text::Tokenizer& tokenizer, const Line& first, const Line& second);
std::vector<TokenRow> encoded(const text::Tokenizer& tokenizer, const std::vector<Line>& lines);

// "101,2002,102", as --tokens gives them.
TokenRow numbers_in(const std::string& text);

// Throws Error (bad_input) for a row that the stack cannot read: too long, or ids it does not have.
void check(const TokenRow& row, const model::Config& config, const model::Stack& stack);

struct TokenBatch {
  at::Tensor ids, types, mask;  // [rows, longest]; mask only where rows are padded
};
TokenBatch padded(const std::vector<TokenRow>& rows, int64_t padding);

std::vector<ModelInput::Words> words_of(std::vector<TokenRow>& rows);

}  // namespace headlight::app
