// What only models from elsewhere have, in configs drawn at random: the whole forward and all its
// gradients against the plain Transformer in double, a cache against reading at once.
#include <gmock/gmock.h>

#include <filesystem>

#include "compare.h"
#include "drawn_model.h"
#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/cut_heads.h"
#include "model/generate.h"
#include "model/head_name.h"
#include "model/parameters.h"
#include "model/run.h"
#include "plain_transformer.h"

namespace headlight::model::testing {
namespace {

at::Tensor padded(int64_t rows, int64_t length, int64_t from, int64_t count) {
  at::Tensor mask = at::ones({rows, length}, at::kLong);
  mask[1].narrow(0, from, count).fill_(0);
  return mask;
}

TEST(Options, OfAnyModelGiveTheValuesAndGradientsOfThePlainOne) {
  at::manual_seed(21);
  Drawing draw(21);
  for (int trial = 0; trial < 80; ++trial) {
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    const Config c = draw.config();
    const Transformer model = exact(c, static_cast<uint64_t>(trial));
    Inputs in = random_inputs(c, 3, 7);
    if (trial % 3 == 1) in.mask = padded(3, 7, 0, 2);  // padding at the left
    if (trial % 3 == 2) in.mask = padded(3, 7, 4, 3);  // at the right
    if (trial % 2 && in.source.defined()) in.source_mask = padded(3, 9, 3, 2);  // in between
    at::Tensor labels = at::randint(c.vocabulary, {3, 7}, at::kLong);
    if (in.mask.defined()) labels = labels.masked_fill(in.mask.eq(0), kUnscored);
    expect_the_plain_one(model, in, labels);
  }
}

TEST(Options, AMemoryIsReadByTheFirstPlaceAndStaysAsItIs) {
  at::manual_seed(23);
  Drawing draw(23);
  for (int trial = 0; trial < 40; ++trial) {
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    Config c;
    do c = draw.config();
    while (c.kind != Kind::encoder_only || c.position == Position::relative);
    c.only_first_attends = true;
    c.output_place = OutputPlace::first;
    c.norm_place = NormPlace::pre;
    c.parallel = false;
    Transformer model = exact(c, static_cast<uint64_t>(trial));
    if (trial % 5 == 0) {  // a layer without heads
      std::vector<HeadPlace> gone = all_heads(model.config);
      std::erase_if(gone, [](const HeadPlace& head) { return head.layer != 0; });
      model = cut_heads(model, gone);
    }
    Inputs in = random_inputs(c, 3, 7);
    if (trial % 2) in.mask = padded(3, 7, 4, 3);
    const at::Tensor labels = at::randint(c.vocabulary, {3}, at::kLong);
    const at::Tensor expected = plain_logits(model, in).select(1, 0);
    expect_close(logits(model, in), expected, 1e-10);
    std::vector<at::Tensor> all;
    for (const NamedTensor& p : parameters(model))
      if (p.tensor.numel() > 0) all.push_back(p.tensor);
    const auto of_plain = gradients_of(at::cross_entropy_loss(expected, labels), all);
    const auto of_fused = gradients_of(loss(model, in, labels), all);
    for (size_t i = 0; i < all.size(); ++i) expect_close(of_fused[i], of_plain[i], 1e-9);
  }
}

TEST(Options, OfAnyModelAreKeptInOurOwnForm) {
  namespace fs = std::filesystem;
  const fs::path folder =
      fs::temp_directory_path() / ("headlight-options-" + std::to_string(::getpid()));
  Drawing draw(5);
  for (int trial = 0; trial < 30; ++trial) {
    const Transformer model = initialised(draw.config(), static_cast<uint64_t>(trial));
    save(model, folder);
    const Transformer back = load(folder);
    EXPECT_EQ(back.config, model.config);
    const Inputs in = random_inputs(model.config, 2, 5);
    EXPECT_TRUE(at::equal(logits(back, in), logits(model, in)));
  }
  fs::remove_all(folder);
}

TEST(Cache, ReadingInPiecesIsReadingAtOnce) {
  c10::NoGradGuard no_grad;
  at::manual_seed(22);
  Drawing draw(22);
  for (int trial = 0; trial < 60; ++trial) {
    Config c = draw.config();
    if (c.kind == Kind::encoder_only || c.padding_token >= 0) continue;
    c.token_types = 0;
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    const Transformer model = exact(c, static_cast<uint64_t>(trial));
    const Inputs whole = [&] {
      Inputs in = random_inputs(c, 2, 10);
      if (trial % 2) in.mask = padded(2, 10, 0, 3);
      return in;
    }();
    const at::Tensor expected = logits(model, whole);
    Cache cache;
    Pass pass;
    pass.cache = &cache;
    Inputs piece = whole;
    int64_t first = 0;
    for (const int64_t length : {4, 1, 1, 3, 1}) {
      piece.tokens = whole.tokens.narrow(1, first, length);
      if (whole.mask.defined()) piece.mask = whole.mask.narrow(1, 0, first + length);
      expect_close(logits(model, piece, pass), expected.narrow(1, first, length), 1e-11);
      first += length;
    }
    EXPECT_EQ(cache.length, 10);
    // Rows can be dropped, repeated and put in another order.
    Cache again = cache;
    select_rows(again, at::tensor({int64_t{1}, int64_t{0}, int64_t{1}}));
    EXPECT_EQ(again.layers[0].key_value.size(0), 3);
    if (c.kind != Kind::encoder_decoder) continue;
    select_sources(again, at::tensor({int64_t{1}}));
    EXPECT_EQ(again.memory.size(0), 1);
  }
}

TEST(Generate, IsTheLargestLogitOfTheWholeTextAgainAndAgain) {
  c10::NoGradGuard no_grad;
  Config c;
  c.vocabulary = 17;
  c.dim = 16;
  c.heads = 2;
  c.layers = 2;
  c.positions = 30;
  const Transformer model = initialised(c, 3);
  Inputs in;
  in.tokens = at::randint(17, {3, 4}, at::kLong);
  at::Tensor text = in.tokens;
  for (int step = 0; step < 6; ++step) {
    Inputs all;
    all.tokens = text;
    text = at::cat({text, logits(model, all).select(1, text.size(1) - 1).argmax(1, true)}, 1);
  }
  const at::Tensor expected = text.narrow(1, 4, 6);
  EXPECT_TRUE(at::equal(generate(model, in, {.tokens = 6}), expected));
  // A row that has ended is padded.
  const auto end = expected[0][2].item<int64_t>();
  const at::Tensor ended = generate(model, in, {.tokens = 6, .end_tokens = {end}, .padding = 16});
  bool over = false;
  for (int64_t i = 0; i < ended.size(1); ++i) {
    EXPECT_EQ(ended[0][i].item<int64_t>(), over ? 16 : expected[0][i].item<int64_t>());
    over = over || expected[0][i].item<int64_t>() == end;
  }
  c.kind = Kind::encoder_only;
  EXPECT_THROW(generate(initialised(c, 1), in, {}), Error);
}

TEST(Gates, HaveGradientsAndMayDifferFromRowToRow) {
  at::manual_seed(24);
  Config c;
  c.kind = Kind::encoder_decoder;
  c.vocabulary = 11;
  c.dim = 8;
  c.heads = 2;
  c.positions = 9;
  const Transformer model = exact(c, 2);
  const Inputs in = random_inputs(c, 3, 5);
  const at::Tensor encoder = leaf({2}), cross = leaf({3, 2});
  Gates gates;
  gates.factors = {{"encoder", {encoder}}, {"cross", {cross}}};
  gates.means = {{"cross", {at::randn({2, 4}, at::kDouble)}}};
  Pass pass;
  pass.gates = &gates;
  expect_gradient([&] { return logits(model, in, pass); }, {encoder, cross});
  // A gate of 1 changes nothing, and at 0 the mean stands in.
  c10::NoGradGuard no_grad;
  encoder.detach().fill_(1);
  cross.detach().fill_(1);
  expect_close(logits(model, in, pass), logits(model, in), 1e-13);
  cross.detach().fill_(0);
  const at::Tensor one = logits(model, in, pass);
  gates.means["cross"][0].mul_(2);
  EXPECT_GT((logits(model, in, pass) - one).abs().max().item<double>(), 1e-3);
}

TEST(Run, HandsOverEveryTensorUnderItsName) {
  Config c;
  c.kind = Kind::encoder_decoder;
  c.vocabulary = 11;
  c.dim = 8;
  c.heads = 2;
  c.positions = 9;
  c.layers = 2;
  c.decoder_layers = 1;
  c.final_norm = true;
  const Transformer model = initialised(c, 2);
  Inputs in = random_inputs(c, 2, 5);
  Ask ask;
  ask.attentions = true;
  ask.labels = at::randint(11, {2, 5}, at::kLong);
  const auto all = run(model, in, ask);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : all) names.push_back(name);
  EXPECT_THAT(names, ::testing::ElementsAre(
                         "cross_attentions.0", "cross_lse.0", "decoder_attentions.0",
                         "decoder_hidden_states.0", "decoder_hidden_states.1", "decoder_lse.0",
                         "encoder_attentions.0", "encoder_attentions.1", "encoder_hidden_states.0",
                         "encoder_hidden_states.1", "encoder_hidden_states.2", "encoder_lse.0",
                         "encoder_lse.1", "last_hidden_state", "logits", "loss"));
  EXPECT_TRUE(at::equal(all.at("decoder_hidden_states.1"), all.at("last_hidden_state")));
  EXPECT_TRUE(at::equal(all.at("logits"), logits(model, in).detach()));
  EXPECT_FLOAT_EQ(all.at("loss").item<float>(), loss(model, in, ask.labels).item<float>());
  const at::Tensor sums = all.at("cross_attentions.0").sum(3);
  expect_close(sums, at::ones_like(sums), 1e-6);
  c.predicts_next = true;
  const at::Tensor moved = own_labels(c, ask.labels);
  EXPECT_TRUE(at::equal(moved.narrow(1, 0, 4), ask.labels.narrow(1, 1, 4)));
  EXPECT_TRUE(moved.select(1, 4).eq(kUnscored).all().item<bool>());
}

}  // namespace
}  // namespace headlight::model::testing
