#include "model/sentence_pairs.h"

#include <ATen/ATen.h>

#include "headlight/splitmix64.h"

namespace headlight::model {
namespace {

constexpr double kSharpness = 20;  // of sentence-transformers' MultipleNegativesRankingLoss

// [B, D], of length 1.
at::Tensor sentence_vectors(const Transformer& model, const Inputs& texts, const Pass& pass) {
  const at::Tensor states = hidden(model, texts, pass);
  at::Tensor vectors;
  if (texts.mask.defined()) {
    const at::Tensor real = texts.mask.ne(0).to(states.scalar_type()).unsqueeze(2);
    vectors = (states * real).sum(1) / real.sum(1).clamp_min(1);
  } else {
    vectors = states.mean(1);
  }
  return vectors / vectors.norm(2, 1, true).clamp_min(1e-12);
}

}  // namespace

bool makes_sentence_vectors(const Config& c) {
  return c.kind == Kind::encoder_only && c.patch == 0 && !c.output;
}

bool tells_partners(const Config& c, const Inputs& inputs) {
  return makes_sentence_vectors(c) && inputs.source.defined();
}

std::vector<Inputs> read_apart(const Config& c, const Inputs& inputs) {
  if (!tells_partners(c, inputs)) return {inputs};
  Inputs first, second;
  first.tokens = inputs.tokens;
  first.mask = inputs.mask;
  second.tokens = inputs.source;
  second.mask = inputs.source_mask;
  return {first, second};
}

at::Tensor partner_logits(const Transformer& model, const Inputs& inputs, const Pass& pass) {
  const std::vector<Inputs> texts = read_apart(model.config, inputs);
  // With the same dropout a text would know its partner by what both miss.
  Pass other = pass;
  other.dropout_seed = SplitMix64::finalized(pass.dropout_seed + 1);
  const at::Tensor first = sentence_vectors(model, texts[0], pass);
  return first.matmul(sentence_vectors(model, texts[1], other).t()) * kSharpness;
}

}  // namespace headlight::model
