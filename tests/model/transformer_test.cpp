#include "model/transformer.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <random>
#include <thread>

#include "compare.h"
#include "headlight/error.h"
#include "model/adam_step.h"
#include "model/linear.h"
#include "plain_transformer.h"

namespace headlight::model::testing {
namespace {

Config small() {
  Config c;
  c.vocabulary = 13;
  c.dim = 16;
  c.layers = 2;
  c.heads = 4;
  c.ffn = 24;
  c.positions = 12;
  return c;
}

Inputs random_inputs(const Config& c, int64_t batch, int64_t length) {
  Inputs in;
  in.tokens = at::randint(c.vocabulary, {batch, length}, at::kLong);
  if (c.kind == Kind::encoder_decoder)
    in.source = at::randint(completed(c).source_vocabulary, {batch, length + 2}, at::kLong);
  return in;
}

std::vector<at::Tensor> tensors_of(const Transformer& model) {
  std::vector<at::Tensor> all;
  for (const NamedTensor& p : parameters(model)) all.push_back(p.tensor);
  return all;
}

// A config in which every choice is drawn.
Config drawn(std::mt19937& random) {
  const auto pick = [&](int64_t below) {
    return std::uniform_int_distribution<int64_t>(0, below - 1)(random);
  };
  Config c;
  c.kind = static_cast<Kind>(pick(3));
  c.vocabulary = 5 + pick(20);
  if (c.kind == Kind::encoder_decoder) {
    c.source_vocabulary = pick(2) ? 0 : 4 + pick(9);
    c.decoder_layers = pick(3);
  }
  c.dim = 8 * (1 + pick(3));
  c.layers = 1 + pick(2);
  c.heads = int64_t{1} << pick(3);
  c.kv_heads = pick(2) ? 0 : 1;
  c.head_dim = pick(3) ? 0 : 2 * (1 + pick(4));
  c.ffn = 1 + pick(30);
  c.positions = 9 + pick(4);
  c.norm = static_cast<Norm>(pick(2));
  c.norm_place = static_cast<NormPlace>(pick(2));
  c.norm_bias = pick(2) != 0;
  c.final_norm = pick(2) != 0;
  c.activation = static_cast<Activation>(pick(5));
  c.position = static_cast<Position>(pick(4));
  c.norm_epsilon = 1e-5;
  c.tied = pick(2) != 0;
  c.classes = c.tied || pick(2) ? 0 : 3 + pick(9);
  c.linear_bias = pick(2) != 0;
  c.output_bias = pick(2) != 0;
  c.causal = pick(4) != 0;
  return c;
}

TEST(Transformer, OfAnyMakeEqualsThePlainOneWithAllItsGradients) {
  std::mt19937 random(11);
  at::manual_seed(11);
  for (int trial = 0; trial < 60; ++trial) {
    const Config c = drawn(random);
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    const Transformer model = copy_of(initialised(c, trial), at::kDouble, "cpu");
    Inputs in = random_inputs(c, 3, 7);
    if (trial % 2) in.lengths = at::tensor({int64_t{7}, int64_t{4}, int64_t{1}});
    if (trial % 3 == 0 && in.source.defined())
      in.source_lengths = at::tensor({int64_t{9}, int64_t{2}, int64_t{5}});
    const at::Tensor labels = at::randint(model.config.classes, {3, 7}, at::kLong);
    if (trial % 4 != 0) labels.narrow(1, 0, 1 + trial % 6).fill_(kUnscored);

    const auto all = tensors_of(model);
    int64_t count = 0;
    for (const at::Tensor& p : all) count += p.numel();
    EXPECT_EQ(count, parameter_count(c));

    const at::Tensor expected = plain_logits(model, in);
    expect_close(logits(model, in), expected, 1e-10);
    const at::Tensor plain_loss = at::cross_entropy_loss(expected.flatten(0, 1), labels.flatten());
    const auto of_plain = gradients_of(plain_loss, all);
    const at::Tensor fused_loss = loss(model, in, labels);
    const auto of_fused = gradients_of(fused_loss, all);
    expect_close(fused_loss, plain_loss, 1e-11);
    for (size_t i = 0; i < all.size(); ++i) expect_close(of_fused[i], of_plain[i], 1e-10);
  }
}

TEST(Transformer, InFloatIsCloseToDouble) {
  at::manual_seed(2);
  Config c = small();
  const Transformer model = initialised(c, 5);
  const Inputs in = random_inputs(c, 4, 12);
  const at::Tensor labels = at::randint(13, {4, 12}, at::kLong);
  const Transformer exact = copy_of(model, at::kDouble, "cpu");
  const auto a = gradients_of(loss(model, in, labels), tensors_of(model));
  const auto b = gradients_of(loss(exact, in, labels), tensors_of(exact));
  for (size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i], 1e-5);
}

TEST(Transformer, GradientsInTrainingWithEveryDropoutAreFiniteDifferences) {
  at::manual_seed(4);
  for (const Kind kind : {Kind::decoder_only, Kind::encoder_decoder}) {
    Config c = small();
    c.kind = kind;
    c.layers = 1;
    c.activation = Activation::gelu;  // smooth: a relu's corner is no place for differences
    c.dropout = 0.2;
    c.attention_dropout = 0.3;
    c.embedding_dropout = 0.1;
    const Transformer model = copy_of(initialised(c, 6), at::kDouble, "cpu");
    const Inputs in = random_inputs(c, 2, 6);
    const at::Tensor labels = at::randint(13, {2, 6}, at::kLong);
    labels.narrow(1, 0, 3).fill_(kUnscored);
    const Pass training{.training = true, .dropout_seed = 99};
    expect_gradient([&] { return loss(model, in, labels, training); }, tensors_of(model));
    EXPECT_NE(loss(model, in, labels, training).item<double>(),
              loss(model, in, labels).item<double>());
    EXPECT_NE(loss(model, in, labels, training).item<double>(),
              loss(model, in, labels, {.training = true, .dropout_seed = 100}).item<double>());
  }
}

TEST(Transformer, StartsFromTheSameNumbersForEveryHeadCount) {
  Config c = small();
  const auto first = parameters(initialised(c, 3));
  for (const int64_t heads : {1, 2, 8, 16}) {
    c.heads = heads;
    const auto other = parameters(initialised(c, 3));
    ASSERT_EQ(first.size(), other.size());
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(first[i].name, other[i].name);
      EXPECT_TRUE(at::equal(first[i].tensor, other[i].tensor));
    }
  }
  EXPECT_FALSE(at::equal(first[0].tensor, parameters(initialised(c, 4))[0].tensor));
}

TEST(Transformer, StartsFromTheStatedDistributions) {
  Config c = small();
  c.vocabulary = 3000;
  c.dim = 64;
  c.ffn = 256;
  const Transformer model = initialised(c, 1);
  const at::Tensor tokens = model.decoder.tokens.detach();
  EXPECT_NEAR(tokens.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(tokens.std().item<double>(), 1, 0.01);
  EXPECT_NEAR(tokens.pow(4).mean().item<double>(), 3, 0.1);
  const Block& block = model.decoder.blocks[0];
  const at::Tensor qkv = block.attention.qkv.weight.detach();
  EXPECT_LE(qkv.abs().max().item<double>(), 1.0 / 8);
  EXPECT_NEAR(qkv.std().item<double>(), 1 / (8 * std::sqrt(3.0)), 0.001);
  EXPECT_LE(block.ffn.down.weight.detach().abs().max().item<double>(), 1.0 / 16);
  EXPECT_LE(block.ffn.down.bias.detach().abs().max().item<double>(), 1.0 / 16);
  EXPECT_TRUE(at::equal(block.ffn_norm.gain.detach(), at::ones({64})));
}

TEST(Transformer, PositionsBelowANormStartAsSmallAsTokensThatAreTheOutputToo) {
  Config c = small();
  c.dim = 64;
  c.positions = 500;
  c.token_types = 50;
  c.tied = c.embedding_norm = true;
  const Transformer model = initialised(c, 1);
  EXPECT_NEAR(model.decoder.positions.detach().std().item<double>(), 1.0 / 8, 0.01);
  EXPECT_NEAR(model.decoder.token_types.detach().std().item<double>(), 1.0 / 8, 0.01);
  c.embedding_norm = false;
  EXPECT_NEAR(initialised(c, 1).decoder.positions.detach().std().item<double>(), 1, 0.05);
}

// Several steps of training; the last loss and the parameters.
std::pair<double, std::vector<at::Tensor>> trained(int threads, int64_t batch = 20) {
  at::set_num_threads(threads);
  Config c = small();
  c.dropout = c.attention_dropout = 0.1;
  const Transformer model = initialised(c, 8);
  const auto all = parameters(model);
  AdamState state = adam_state(all);
  Inputs in;
  in.tokens = at::arange(batch * 12).remainder(13).view({batch, 12});
  const at::Tensor labels = in.tokens.roll(1, 1);
  double last = 0;
  for (uint64_t step = 0; step < 5; ++step) {
    const at::Tensor value = loss(model, in, labels, {.training = true, .dropout_seed = step});
    value.backward();
    adam_step(all, state, {});
    last = value.item<double>();
  }
  std::vector<at::Tensor> result;
  for (const NamedTensor& p : all) result.push_back(p.tensor.detach().clone());
  return {last, result};
}

void expect_equal_bits(const std::pair<double, std::vector<at::Tensor>>& a,
                       const std::pair<double, std::vector<at::Tensor>>& b) {
  EXPECT_EQ(a.first, b.first);
  for (size_t i = 0; i < a.second.size(); ++i) EXPECT_TRUE(at::equal(a.second[i], b.second[i]));
}

TEST(Transformer, WithManyClassesItsLossIsThatOfItsLogitsWhateverIsScored) {
  at::manual_seed(5);
  const std::string before = linear_backend();
  set_linear_backend("headlight");
  Config c = small();
  c.vocabulary = 1100;
  c.tied = true;
  c.output_scale = 0.5;
  const Transformer model = initialised(c, 1);
  const std::vector<at::Tensor> all = tensors_of(model);
  const Inputs in = random_inputs(c, 12, 10);
  for (const int64_t scored : {10, 9, 3}) {
    const at::Tensor labels = at::randint(1100, {12, 10}, at::kLong);
    labels.narrow(1, 0, 10 - scored).fill_(kUnscored);
    const at::Tensor one = loss(model, in, labels),
                     other = loss_of(model, logits(model, in), labels);
    expect_close(one, other, 1e-5);
    const auto of_one = gradients_of(one, all), of_other = gradients_of(other, all);
    for (size_t i = 0; i < all.size(); ++i) expect_close(of_one[i], of_other[i], 2e-5);
  }
  set_linear_backend(before);
}

TEST(Transformer, TrainsToTheSameBitsAgain) {
  expect_equal_bits(trained(1), trained(1));
  expect_equal_bits(trained(2), trained(2));
  at::set_num_threads(1);
}

TEST(Transformer, TrainsToTheSameBitsWithAnyNumberOfThreadsOnOurOwnProducts) {
  const std::string before = linear_backend();
  set_linear_backend("headlight");
  // Enough rows that every operation is shared out.
  expect_equal_bits(trained(1, 500), trained(2, 500));
  set_linear_backend(before);
  at::set_num_threads(1);
}

TEST(Transformer, TrainsToTheSameBitsBesideAnother) {
  const auto alone = trained(1);
  std::pair<double, std::vector<at::Tensor>> a, b;
  std::thread first([&] { a = trained(1); }), second([&] { b = trained(1); });
  first.join();
  second.join();
  expect_equal_bits(alone, a);
  expect_equal_bits(alone, b);
}

TEST(Transformer, LearnsToCopy) {
  at::manual_seed(1);
  Config c = small();
  const Transformer model = initialised(c, 1);
  const auto all = parameters(model);
  AdamState state = adam_state(all);
  AdamSettings settings;
  settings.learning_rate = 3e-3;
  Evaluation seen;
  for (int step = 0; step < 150; ++step) {
    const Inputs in = random_inputs(c, 32, 12);
    loss(model, in, in.tokens).backward();
    adam_step(all, state, settings);
    seen = evaluate(model, in, in.tokens);
  }
  EXPECT_GT(seen.correct.sum().item<int64_t>(), 0.99 * 32 * 12);
}

TEST(Transformer, EvaluatesSequenceBySequence) {
  at::manual_seed(9);
  Config c = small();
  const Transformer model = initialised(c, 1);
  const Inputs in = random_inputs(c, 3, 8);
  const at::Tensor labels = at::randint(13, {3, 8}, at::kLong);
  labels[1].fill_(kUnscored);
  labels[2].narrow(0, 0, 5).fill_(kUnscored);
  const Evaluation e = evaluate(model, in, labels);
  EXPECT_TRUE(at::equal(e.scored, at::tensor({int64_t{8}, int64_t{0}, int64_t{3}})));
  EXPECT_EQ(e.nats[1].item<double>(), 0);
  EXPECT_NEAR(e.nats.sum().item<double>() / 11, loss(model, in, labels).item<double>(), 1e-6);
  const at::Tensor right = logits(model, in).argmax(2).eq(labels);
  EXPECT_TRUE(at::equal(e.correct, right.sum(1)));
}

TEST(Transformer, CapturesWhatEveryHeadOfEveryStackReadsAndWrites) {
  at::manual_seed(10);
  for (const Position position : {Position::learned, Position::rotary}) {
    Config c = small();
    c.kind = Kind::encoder_decoder;
    c.kv_heads = 2;
    c.position = position;
    const Transformer model = initialised(c, 1);
    const Inputs in = random_inputs(c, 2, 5);
    Capture capture;
    const at::Tensor out = hidden(model, in, {.capture = &capture});
    ASSERT_EQ(capture.layers.size(), 6u);
    EXPECT_EQ(capture.layers[0].stack, "encoder");
    EXPECT_EQ(capture.layers[2].stack, "decoder");
    EXPECT_EQ(capture.layers[3].stack, "cross");
    EXPECT_EQ(capture.layers[5].layer, 1);
    EXPECT_FALSE(capture.layers[0].causal);
    EXPECT_TRUE(capture.layers[2].causal);
    EXPECT_EQ(capture.layers[3].q.sizes(), at::IntArrayRef({2, 4, 5, 4}));
    EXPECT_EQ(capture.layers[3].k.sizes(), at::IntArrayRef({2, 2, 7, 4}));
    EXPECT_EQ(capture.layers[3].w_o.sizes(), at::IntArrayRef({4, 4, 16}));
    EXPECT_EQ(capture.hidden.size(), 6u);
    expect_close(capture.hidden.back(), out, 0);
  }
}

TEST(Transformer, PaddingChangesNothingBeforeIt) {
  at::manual_seed(12);
  Config c = small();
  c.causal = false;
  const Transformer model = initialised(c, 1);
  Inputs in = random_inputs(c, 2, 9);
  in.lengths = at::tensor({int64_t{9}, int64_t{6}});
  const at::Tensor before = logits(model, in);
  in.tokens[1].narrow(0, 6, 3).fill_(0);
  expect_close(logits(model, in)[1].narrow(0, 0, 6), before[1].narrow(0, 0, 6), 0);
}

TEST(Transformer, RefusesInputsThatItCannotRead) {
  Config c = small();
  const Transformer model = initialised(c, 1);
  Inputs in = random_inputs(c, 2, 13);
  EXPECT_THROW(logits(model, in), Error);  // longer than 12 positions
  in = random_inputs(c, 2, 5);
  in.tokens = in.tokens.to(at::kInt);
  EXPECT_THROW(logits(model, in), Error);
  in = random_inputs(c, 2, 5);
  EXPECT_THROW(loss(model, in, at::zeros({2, 4}, at::kLong)), Error);
  in.lengths = at::zeros({3}, at::kLong);
  EXPECT_THROW(logits(model, in), Error);
  c.kind = Kind::encoder_decoder;
  in.lengths = at::Tensor();
  EXPECT_THROW(logits(initialised(c, 1), in), Error);  // no source
}

}  // namespace
}  // namespace headlight::model::testing
