#include "model/stream_start.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "headlight/error.h"
#include "model/embedding.h"
#include "model/linear.h"
#include "model/norm.h"

namespace headlight::model {
namespace {

[[noreturn]] void refuse_input(const std::string& message) {
  throw Error(ErrorKind::bad_input, message);
}

// RoBERTa's rule: a token's place is the number of tokens up to it that are no padding, counted on
// from the padding token's id; that of padding is the id itself.
at::Tensor counted_positions(const at::Tensor& table, const at::Tensor& tokens, int64_t padding,
                             int64_t first) {
  const at::Tensor real = tokens.ne(padding).to(at::kLong);
  const at::Tensor places = (real.cumsum(1) + first) * real + padding;
  const auto last = places.max().item<int64_t>();
  if (last >= table.size(0))
    refuse_input(fmt::format("a sequence of {} tokens is longer than the model's {} positions",
                             last - padding, table.size(0) - padding - 1));
  return at::embedding(table, places);
}

// tokens [B, N, W]; returns [B, N, D]. Token 0 is padding.
at::Tensor embedded_sentences(const Stack& s, const at::Tensor& tokens) {
  const at::Tensor rows =
      embedded(tokens.flatten(1), s.tokens, {}).unflatten(1, tokens.sizes().slice(1));
  return (rows * s.sentence_mask * tokens.ne(0).unsqueeze(3)).sum(2);
}

}  // namespace

at::Tensor embedded_tokens(const Config& c, const Stack& s, const at::Tensor& tokens,
                           const at::Tensor& token_types, int64_t first) {
  const int64_t length = tokens.size(1);
  const bool counted = c.padding_token >= 0;
  at::Tensor places;
  if (s.positions.defined() && !counted) {
    if (first + length > c.positions)
      refuse_input(fmt::format("a sequence of {} tokens is longer than the model's {} positions",
                               first + length, c.positions));
    places = s.positions;
    if (const int64_t row = c.position_offset + first; row > 0)
      places = places.narrow(0, row, length);
  }
  at::Tensor x;
  if (c.embedding_scale == 1 && c.sentence_tokens == 0) {
    x = embedded(tokens, s.tokens, places);
  } else {
    x = c.sentence_tokens > 0 ? embedded_sentences(s, tokens) : embedded(tokens, s.tokens, {});
    x = x * c.embedding_scale;
    if (places.defined()) x = x + places.narrow(0, 0, length);
  }
  if (counted) x = x + counted_positions(s.positions, tokens, c.padding_token, first);
  if (s.token_types.defined()) {
    if (!token_types.defined()) {
      x = x + s.token_types[0];
    } else {
      if (token_types.sizes() != tokens.sizes() || token_types.scalar_type() != at::kLong)
        refuse_input("token types must be int64 in the shape of the tokens");
      x = x + embedded(token_types, s.token_types, {});
    }
  }
  return s.embedding_norm.gain.defined() ? normalised(x, s.embedding_norm, c.norm, c.norm_epsilon)
                                         : x;
}

at::Tensor embedded_image(const Config& c, const Stack& s, const at::Tensor& pixels) {
  if (!pixels.defined() || pixels.dim() != 4 || pixels.size(1) != c.channels ||
      pixels.size(2) != c.image_height || pixels.size(3) != c.image_width ||
      !pixels.is_floating_point())
    refuse_input(fmt::format("pixels must be a [batch, {}, {}, {}] tensor of floating point",
                             c.channels, c.image_height, c.image_width));
  const int64_t down = c.image_height / c.patch, across = c.image_width / c.patch;
  // [B, C, down, patch, across, patch] to [B, down across, C patch patch].
  const at::Tensor squares = pixels.to(s.class_token.scalar_type())
                                 .reshape({-1, c.channels, down, c.patch, across, c.patch})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({-1, down * across, c.channels * c.patch * c.patch});
  const at::Tensor x = linear(squares, s.patches.weight, s.patches.bias);
  const at::Tensor first = s.class_token.expand({pixels.size(0), 1, c.dim});
  at::Tensor all = at::cat({first, x}, 1);
  if (s.positions.defined()) all = all + s.positions;
  return s.embedding_norm.gain.defined() ? normalised(all, s.embedding_norm, c.norm, c.norm_epsilon)
                                         : all;
}

}  // namespace headlight::model
