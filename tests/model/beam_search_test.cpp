#include "model/beam_search.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "headlight/error.h"
#include "model/generate.h"
#include "model/sampling.h"

namespace headlight::model {
namespace {

Transformer writer(Kind kind, int64_t vocabulary = 13) {
  Config c;
  c.kind = kind;
  c.vocabulary = vocabulary;
  c.dim = 16;
  c.heads = 2;
  c.layers = 2;
  c.positions = 24;
  c.norm = Norm::layer;
  c.start_token = kind == Kind::encoder_decoder ? 2 : -1;
  return initialised(c, 11);
}

Inputs sources(int64_t rows) {
  at::manual_seed(5);
  Inputs in;
  in.source = at::randint(13, {rows, 6}, at::kLong);
  in.source_lengths = at::randint(3, 7, {rows}, at::kLong);
  return in;
}

// Logarithms of what could follow every text of `tokens`, without a cache.
at::Tensor following(const Transformer& model, const Inputs& in,
                     const std::vector<int64_t>& tokens) {
  Inputs whole = in;
  whole.tokens = at::tensor(tokens).unsqueeze(0);
  return at::log_softmax(logits(model, whole).select(1, whole.tokens.size(1) - 1), 1).squeeze(0);
}

TEST(BeamSearch, OfEveryTextThatThereIsFindsTheBest) {
  const c10::NoGradGuard no_grad;
  const Transformer model = writer(Kind::encoder_decoder, 13);
  const Inputs in = sources(1);
  // All texts of up to three tokens; 1 ends one.
  std::vector<Hypothesis> all;
  const std::function<void(std::vector<int64_t>, double)> visit = [&](std::vector<int64_t> text,
                                                                      double score) {
    const auto length = static_cast<double>(text.size()) - 1;
    if (length == 3 || text.back() == 1) {
      all.push_back({{text.begin() + 1, text.end()}, score / std::pow(length, 0.7)});
      return;
    }
    const at::Tensor next = following(model, in, text);
    for (int64_t token = 0; token < 13; ++token) {
      text.push_back(token);
      visit(text, score + next[token].item<double>());
      text.pop_back();
    }
  };
  visit({2}, 0);
  const auto best = std::max_element(
      all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score < b.score; });
  // As many beams as texts of two tokens: nothing is cut off.
  const auto found = beam_search(
      model, in, {.beams = 170, .length_penalty = 0.7, .tokens = {3}, .end_tokens = {1}});
  EXPECT_EQ(found[0][0].tokens, best->tokens);
  EXPECT_NEAR(found[0][0].score, best->score, 1e-5);
  for (size_t i = 1; i < found[0].size(); ++i) EXPECT_GE(found[0][i - 1].score, found[0][i].score);
}

TEST(BeamSearch, ScoresAreThoseOfTheWholeText) {
  const c10::NoGradGuard no_grad;
  for (const Kind kind : {Kind::encoder_decoder, Kind::decoder_only}) {
    const Transformer model = writer(kind);
    Inputs in = kind == Kind::encoder_decoder ? sources(1) : Inputs{};
    std::vector<int64_t> prompt = {2};
    if (kind == Kind::decoder_only) {
      prompt = {4, 5};
      in.tokens = at::tensor(prompt).unsqueeze(0);
    }
    const auto found = beam_search(model, in, {.beams = 3, .tokens = {7}, .end_tokens = {1}});
    for (const Hypothesis& one : found[0]) {
      std::vector<int64_t> text = prompt;
      double sum = 0;
      for (const int64_t token : one.tokens) {
        sum += following(model, in, text)[token].item<double>();
        text.push_back(token);
      }
      EXPECT_NEAR(one.score, sum / static_cast<double>(one.tokens.size()), 1e-5);
    }
  }
}

TEST(BeamSearch, ARowDoesNotDependOnTheOthers) {
  const Transformer model = writer(Kind::encoder_decoder);
  const Inputs in = sources(5);
  const BeamSearch how = {.beams = 4, .tokens = {9}, .end_tokens = {1, 3}};
  const auto together = beam_search(model, in, how);
  for (int64_t row = 0; row < 5; ++row) {
    Inputs alone;
    alone.source = in.source.narrow(0, row, 1).narrow(1, 0, in.source_lengths[row].item<int64_t>());
    const auto found = beam_search(model, alone, how);
    ASSERT_EQ(found[0].size(), together[static_cast<size_t>(row)].size());
    for (size_t i = 0; i < found[0].size(); ++i) {
      EXPECT_EQ(found[0][i].tokens, together[static_cast<size_t>(row)][i].tokens);
      EXPECT_NEAR(found[0][i].score, together[static_cast<size_t>(row)][i].score, 1e-5);
    }
  }
}

TEST(BeamSearch, LimitsForbiddenTokensAndRoomAreKept) {
  const Transformer model = writer(Kind::encoder_decoder);
  const Inputs in = sources(2);
  const auto found = beam_search(
      model, in, {.beams = 3, .tokens = {2, 100}, .end_tokens = {}, .forbidden = {7, 8}});
  for (const Hypothesis& one : found[0]) EXPECT_EQ(one.tokens.size(), 2u);
  for (const Hypothesis& one : found[1]) {
    EXPECT_EQ(one.tokens.size(), 24u);  // positions
    EXPECT_THAT(one.tokens, testing::Not(testing::Contains(testing::AnyOf(7, 8))));
  }
  EXPECT_THROW(beam_search(model, in, {.beams = 0}), Error);
  EXPECT_THROW(beam_search(writer(Kind::encoder_only), in, {}), Error);
}

TEST(Sampling, AtTemperatureZeroIsGreedyAndEndsRowByRow) {
  const Transformer model = writer(Kind::encoder_decoder);
  const Inputs in = sources(4);
  const at::Tensor expected =
      generate(model, in, {.tokens = 9, .end_tokens = {1, 4}, .padding = -1});
  const auto found = sample(model, in, {.tokens = {9}, .end_tokens = {1, 4}});
  for (int64_t row = 0; row < 4; ++row) {
    std::vector<int64_t> tokens;
    for (int64_t i = 0; i < expected.size(1); ++i)
      if (const int64_t token = expected[row][i].item<int64_t>(); token >= 0)
        tokens.push_back(token);
    EXPECT_EQ(found[static_cast<size_t>(row)].tokens, tokens);
  }
}

TEST(Sampling, DrawsWithTheProbabilitiesOfTheModel) {
  const c10::NoGradGuard no_grad;
  const Transformer model = writer(Kind::decoder_only);
  const int64_t draws = 20000;
  Inputs in;
  in.tokens = at::tensor({int64_t{3}, int64_t{6}}).repeat({draws, 1});
  Sampling how{.temperature = 0.7, .top_k = 6, .top_p = 0.9, .tokens = {1}};
  how.seeds.clear();
  for (int64_t i = 0; i < draws; ++i) how.seeds.push_back(static_cast<uint64_t>(i));
  std::vector<double> count(13);
  for (const Hypothesis& one : sample(model, in, how))
    count[static_cast<size_t>(one.tokens[0])] += 1.0 / static_cast<double>(draws);

  const at::Tensor plain = following(model, {}, {3, 6}).to(at::kDouble);
  std::vector<std::pair<double, size_t>> order;
  for (size_t token = 0; token < 13; ++token)
    order.push_back({-plain[static_cast<int64_t>(token)].item<double>(), token});
  std::sort(order.begin(), order.end());
  order.resize(6);
  double total = 0, kept = 0;
  for (const auto& [nats, token] : order) total += std::exp(-nats / 0.7);
  std::vector<double> expected(13);
  for (const auto& [nats, token] : order) {
    if (kept >= 0.9 * total) break;
    kept += expected[token] = std::exp(-nats / 0.7);
  }
  for (size_t token = 0; token < 13; ++token)
    EXPECT_NEAR(count[token], expected[token] / kept, 0.02) << token;
}

}  // namespace
}  // namespace headlight::model
