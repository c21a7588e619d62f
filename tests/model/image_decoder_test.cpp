// Models whose encoder reads images and whose decoder writes text.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "compare.h"
#include "drawn_model.h"
#include "headlight/error.h"
#include "model/beam_search.h"
#include "model/checkpoint.h"
#include "model/generate.h"
#include "model/run.h"
#include "plain_transformer.h"

namespace headlight::model::testing {
namespace {

// The same model, but for what its encoder reads: 2 by 3 patches of 2 by 2 pixels.
Config of_images(Config c) {
  c.kind = Kind::encoder_decoder;
  c.source_vocabulary = 0;
  c.shared_tokens = false;
  c.token_types = 0;
  c.patch = 2;
  c.channels = 3;
  c.image_height = 4;
  c.image_width = 6;
  return c;
}

Config captioner() {
  Config c;
  c.vocabulary = 13;
  c.dim = 16;
  c.heads = 2;
  c.layers = 2;
  c.positions = 24;
  c.norm = Norm::layer;
  c.start_token = 2;
  return of_images(c);
}

Inputs images(const Config& c, int64_t rows, int64_t length) {
  Inputs in;
  in.tokens = at::randint(c.vocabulary, {rows, length}, at::kLong);
  in.pixels = at::randn({rows, c.channels, c.image_height, c.image_width}, at::kDouble);
  return in;
}

TEST(ImageDecoder, GivesTheValuesAndGradientsOfThePlainOne) {
  at::manual_seed(31);
  Drawing draw(31);
  int trials = 0;
  while (trials < 8) {
    Config c = draw.config();
    if (c.kind != Kind::encoder_decoder) continue;
    c = of_images(c);
    SCOPED_TRACE(::testing::Message() << "trial " << ++trials);
    const Transformer model = exact(c, static_cast<uint64_t>(trials));
    const Inputs in = images(c, 3, 9);
    const at::Tensor labels = at::randint(c.vocabulary, {3, 9}, at::kLong);
    expect_the_plain_one(model, in, labels, {in.pixels.set_requires_grad(true)});
  }
}

TEST(ImageDecoder, TheLossHasTheGradientOfItsPixels) {
  at::manual_seed(32);
  const Transformer model = exact(captioner(), 1);
  const Inputs in = images(model.config, 2, 5);
  const at::Tensor labels = at::randint(13, {2, 5}, at::kLong);
  expect_gradient([&] { return loss(model, in, labels); },
                  {in.pixels.set_requires_grad(true), model.encoder.patches.weight,
                   model.encoder.class_token, model.encoder.positions});
}

TEST(ImageDecoder, ReadsInPiecesWhatItReadsAtOnce) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(33);
  Drawing draw(33);
  for (int trial = 0; trial < 60; ++trial) {
    Config c = draw.config();
    if (c.kind != Kind::encoder_decoder || c.padding_token >= 0) continue;
    c = of_images(c);
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    const Transformer model = exact(c, static_cast<uint64_t>(trial));
    const Inputs whole = images(c, 2, 10);
    const at::Tensor expected = logits(model, whole);
    Cache cache;
    Pass pass;
    pass.cache = &cache;
    Inputs piece = whole;
    int64_t first = 0;
    for (const int64_t length : {4, 1, 1, 3, 1}) {
      piece.tokens = whole.tokens.narrow(1, first, length);
      expect_close(logits(model, piece, pass), expected.narrow(1, first, length), 1e-11);
      first += length;
    }
    EXPECT_EQ(cache.memory.sizes(), at::IntArrayRef({2, image_places(c), c.dim}));
  }
}

TEST(ImageDecoder, WritesTheLargestLogitOfTheWholeTextAgainAndAgain) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(34);
  const Transformer model = initialised(captioner(), 5);
  Inputs in = images(model.config, 4, 1);
  in.pixels = in.pixels.to(at::kFloat);
  in.tokens = at::full({4, 1}, 2, at::kLong);
  at::Tensor text = in.tokens;
  for (int step = 0; step < 8; ++step) {
    Inputs all = in;
    all.tokens = text;
    text = at::cat({text, logits(model, all).select(1, text.size(1) - 1).argmax(1, true)}, 1);
  }
  in.tokens = at::Tensor();  // the config knows how decoding begins
  EXPECT_TRUE(at::equal(generate(model, in, {.tokens = 8}), text.narrow(1, 1, 8)));
  const auto beams = beam_search(model, in, {.beams = 1, .tokens = {8}});
  for (int64_t row = 0; row < 4; ++row)
    EXPECT_TRUE(at::equal(at::tensor(beams[static_cast<size_t>(row)][0].tokens),
                          text[row].narrow(0, 1, 8)));
}

TEST(ImageDecoder, ARowOfBeamSearchDoesNotDependOnTheOthers) {
  at::manual_seed(35);
  const Transformer model = initialised(captioner(), 11);
  Inputs in;
  in.pixels = at::randn({5, 3, 4, 6});
  const BeamSearch how = {.beams = 4, .tokens = {9}, .end_tokens = {1, 3}};
  const auto together = beam_search(model, in, how);
  std::set<std::vector<int64_t>> different;
  for (int64_t row = 0; row < 5; ++row) {
    Inputs alone;
    alone.pixels = in.pixels.narrow(0, row, 1);
    const auto found = beam_search(model, alone, how);
    ASSERT_EQ(found[0].size(), together[static_cast<size_t>(row)].size());
    for (size_t i = 0; i < found[0].size(); ++i) {
      EXPECT_EQ(found[0][i].tokens, together[static_cast<size_t>(row)][i].tokens);
      EXPECT_NEAR(found[0][i].score, together[static_cast<size_t>(row)][i].score, 1e-5);
    }
    different.insert(found[0][0].tokens);
  }
  EXPECT_GT(different.size(), 1u);  // else pixels would not matter
}

TEST(ImageDecoder, IsKeptInOurOwnForm) {
  namespace fs = std::filesystem;
  const fs::path folder =
      fs::temp_directory_path() / ("headlight-image-decoder-" + std::to_string(::getpid()));
  for (const Position position :
       {Position::learned, Position::sinusoidal, Position::rotary, Position::none}) {
    Config c = captioner();
    c.position = position;
    c.tied = position != Position::none;
    const Transformer model = initialised(c, 3);
    save(model, folder);
    const Transformer back = load(folder);
    EXPECT_EQ(back.config, model.config);
    Inputs in = images(c, 2, 5);
    in.pixels = in.pixels.to(at::kFloat);
    EXPECT_TRUE(at::equal(logits(back, in), logits(model, in)));
  }
  fs::remove_all(folder);
}

TEST(ImageDecoder, ShowsItsThreeKindsOfAttention) {
  const Transformer model = initialised(captioner(), 3);
  Inputs in = images(model.config, 2, 5);
  in.pixels = in.pixels.to(at::kFloat);
  Capture capture;
  Pass pass;
  pass.capture = &capture;
  logits(model, in, pass);
  std::set<std::string> stacks;
  for (const Capture::Layer& layer : capture.layers) {
    stacks.insert(layer.stack);
    EXPECT_EQ(layer.q.size(2), layer.stack == "encoder" ? 7 : 5);
    EXPECT_EQ(layer.k.size(2), layer.stack == "decoder" ? 5 : 7);
  }
  EXPECT_THAT(stacks, ::testing::ElementsAre("cross", "decoder", "encoder"));
  Ask ask;
  ask.attentions = true;
  const auto all = run(model, in, ask);
  EXPECT_EQ(all.at("encoder_hidden_states.2").sizes(), at::IntArrayRef({2, 7, 16}));
  EXPECT_EQ(all.at("cross_attentions.1").sizes(), at::IntArrayRef({2, 2, 5, 7}));
}

TEST(ImageDecoder, SaysWhatItCannotBeOrRead) {
  const auto refused = [](Config c) -> std::string {
    try {
      completed(c);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  Config c = captioner();
  c.kind = Kind::decoder_only;
  EXPECT_THAT(refused(c), ::testing::HasSubstr("encoder"));
  c = captioner();
  c.shared_tokens = true;
  EXPECT_THAT(refused(c), ::testing::HasSubstr("shared_tokens"));
  c = captioner();
  c.patch = 5;
  EXPECT_THAT(refused(c), ::testing::HasSubstr("do not divide"));
  c = captioner();
  c.vocabulary = 0;
  EXPECT_THAT(refused(c), ::testing::HasSubstr("vocabulary"));

  const Transformer model = initialised(captioner(), 1);
  Inputs in = images(model.config, 2, 3);
  in.pixels = at::randn({3, 3, 4, 6});
  EXPECT_THROW(logits(model, in), Error);  // rows
  in.pixels = at::randn({2, 3, 6, 4});
  EXPECT_THROW(logits(model, in), Error);  // size
  in.pixels = at::Tensor();
  EXPECT_THROW(logits(model, in), Error);
  EXPECT_THROW(beam_search(model, {}, {}), Error);
}

}  // namespace
}  // namespace headlight::model::testing
