#include "model/sentence_pairs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace headlight::model::testing {
namespace {

Config encoder() {
  Config c;
  c.kind = Kind::encoder_only;
  c.vocabulary = 30;
  c.dim = 16;
  c.layers = 2;
  c.heads = 4;
  c.ffn = 24;
  c.positions = 12;
  c.output = false;
  return completed(c);
}

Inputs equal_texts() {
  Inputs in;
  in.tokens = at::arange(24, at::kLong).view({4, 6});
  in.source = in.tokens.clone();
  return in;
}

TEST(SentencePairs, EqualTextsHaveCosineOne) {
  const Transformer model = initialised(encoder(), 1);
  const at::Tensor own = partner_logits(model, equal_texts(), {}).diagonal();
  EXPECT_LT((own - 20).abs().max().item<double>(), 1e-4);
}

TEST(SentencePairs, PaddingChangesNothing) {
  const Transformer model = initialised(encoder(), 1);
  Inputs in = equal_texts();
  const at::Tensor before = partner_logits(model, in, {});
  in.source = at::constant_pad_nd(in.source, {0, 3}, 0);
  in.source_mask = at::constant_pad_nd(at::ones({4, 6}, at::kLong), {0, 3}, 0);
  EXPECT_LT((partner_logits(model, in, {}) - before).abs().max().item<double>(), 1e-4);
}

TEST(SentencePairs, DropoutDoesNotGiveThePartnerAway) {
  Config config = encoder();
  config.dropout = 0.3;
  const Transformer model = initialised(config, 1);
  Pass pass;
  pass.training = true;
  pass.dropout_seed = 5;
  const at::Tensor own = partner_logits(model, equal_texts(), pass).diagonal();
  EXPECT_LT(own.max().item<double>(), 19.9);
}

}  // namespace
}  // namespace headlight::model::testing
