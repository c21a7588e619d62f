#include "model/next_token.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>

#include "headlight/error.h"

namespace headlight::model {
namespace {

bool is_each_in_turn(const std::vector<int64_t>& numbers, int64_t count) {
  if (static_cast<int64_t>(numbers.size()) != count) return false;
  for (int64_t i = 0; i < count; ++i)
    if (numbers[static_cast<size_t>(i)] != i) return false;
  return true;
}

}  // namespace

int64_t longest_sequence(const Config& c) {
  const bool unlimited = c.position == Position::rotary || c.position == Position::relative ||
                         c.position == Position::none;
  return unlimited ? 0 : c.positions;
}

NextToken::NextToken(const Transformer& model, const Inputs& inputs) : model_(model), now_(inputs) {
  const Config& c = model.config;
  if (c.kind == Kind::encoder_only || !c.causal || c.output_place != OutputPlace::every)
    throw Error(ErrorKind::usage, "this model does not write text: it is no causal decoder");
  if (now_.tokens.defined() || c.kind != Kind::encoder_decoder) return;
  if (c.start_token < 0)
    throw Error(ErrorKind::usage, "the model does not say which token decoding starts with");
  const at::Tensor& source = source_of(c, now_);
  if (!source.defined()) throw Error(ErrorKind::usage, "there is nothing for the encoder to read");
  now_.tokens = at::full({source.size(0), 1}, c.start_token, at::kLong);
}

int64_t NextToken::rows() const { return now_.tokens.size(0); }

NextToken::Choice NextToken::choice(const std::vector<int64_t>& forbidden) {
  const c10::NoGradGuard no_grad;
  Pass pass;
  pass.cache = &cache_;
  const at::Tensor states = hidden(model_, now_, pass);
  const at::Tensor last = states.narrow(1, states.size(1) - 1, 1);
  Choice choice;
  choice.logits =
      output(model_, transformed(model_, last, {})).squeeze(1).to(at::kFloat).contiguous();
  for (const int64_t token : forbidden)
    choice.logits.select(1, token).fill_(-std::numeric_limits<float>::infinity());
  choice.normalisers = at::logsumexp(choice.logits, 1).to(at::kDouble);
  if (!at::isfinite(choice.normalisers).all().item<bool>())
    throw Error(ErrorKind::bad_input, "the model's logits are no numbers; its weights are broken");
  return choice;
}

void NextToken::go_on(const std::vector<int64_t>& rows, const std::vector<int64_t>& tokens,
                      const std::vector<int64_t>& sources) {
  const c10::NoGradGuard no_grad;
  if (!is_each_in_turn(rows, now_.tokens.size(0))) select_rows(cache_, at::tensor(rows, at::kLong));
  const at::Tensor& read = source_of(model_.config, now_);
  if (read.defined() && !is_each_in_turn(sources, read.size(0))) {
    const at::Tensor kept = at::tensor(sources, at::kLong);
    select_sources(cache_, kept);
    for (at::Tensor* one : {&now_.source, &now_.pixels, &now_.source_lengths, &now_.source_mask})
      if (one->defined()) *one = one->index_select(0, kept);
  }
  now_.tokens = at::tensor(tokens, at::kLong).unsqueeze(1);
}

int64_t NextToken::room() const {
  const int64_t longest = longest_sequence(model_.config);
  if (longest == 0) return std::numeric_limits<int64_t>::max();
  // The last token that is written is not read.
  return longest - (cache_.length > 0 ? cache_.length : now_.tokens.size(1)) + 1;
}

}  // namespace headlight::model
