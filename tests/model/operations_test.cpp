// Every fused operation against the same in libtorch's plain terms, values and gradients, and
// against finite differences.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include "compare.h"
#include "headlight/error.h"
#include "model/cross_entropy.h"
#include "model/dropout.h"
#include "model/embedding.h"
#include "model/linear.h"
#include "model/norm.h"
#include "model/output_loss.h"
#include "model/plain.h"
#include "model/random.h"
#include "model/rotary.h"

namespace headlight::model::testing {
namespace {

// Values and gradients of two ways to compute the same.
void expect_same(const std::function<at::Tensor()>& fused, const std::function<at::Tensor()>& plain,
                 const std::vector<at::Tensor>& inputs, double tolerance) {
  const at::Tensor a = fused();
  const at::Tensor weights = at::randn_like(a.detach());
  const auto of_a = gradients_of((a * weights).sum(), inputs);
  const at::Tensor b = plain();
  const auto of_b = gradients_of((b * weights).sum(), inputs);
  expect_close(a, b, tolerance);
  for (size_t i = 0; i < inputs.size(); ++i) expect_close(of_a[i], of_b[i], tolerance);
}

double tolerance(at::ScalarType type) { return type == at::kDouble ? 1e-12 : 2e-5; }

class Operations : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(7); }
};

TEST_P(Operations, NormsEqualThePlainOnes) {
  for (const Norm kind : {Norm::rms, Norm::layer})
    for (const int64_t width : {1, 3, 16, 47, 64, 200})
      for (const bool shifted : {false, true}) {
        const at::Tensor x = leaf({3, 5, width}, GetParam());
        NormWeights w{leaf({width}, GetParam()), {}};
        std::vector<at::Tensor> inputs = {x, w.gain};
        if (shifted) inputs.push_back(w.shift = leaf({width}, GetParam()));
        // A width of 1 leaves nothing of LayerNorm but its rounding.
        const double epsilon = width == 1 ? 0.1 : 1e-5;
        expect_same([&] { return normalised(x, w, kind, epsilon); },
                    [&] { return plain::normalised(x, w, kind, epsilon); }, inputs,
                    tolerance(GetParam()));
      }
}

TEST_P(Operations, LinearEqualsThePlainOneOnEveryBackend) {
  const std::string before = linear_backend();
  for (const std::string& backend : linear_backends()) {
    set_linear_backend(backend);
    EXPECT_EQ(linear_backend(), backend);
    for (const auto& [rows, in, out] : std::vector<std::array<int64_t, 3>>{
             {1, 1, 1}, {7, 5, 3}, {200, 32, 96}, {130, 64, 33}, {77, 128, 40}})
      for (const bool biased : {false, true}) {
        const at::Tensor x = leaf({2, rows, in}, GetParam());
        const at::Tensor w = leaf({out, in}, GetParam());
        const at::Tensor b = biased ? leaf({out}, GetParam()) : at::Tensor();
        std::vector<at::Tensor> inputs = {x, w};
        if (biased) inputs.push_back(b);
        const auto plain = [&] { return biased ? at::linear(x, w, b) : at::linear(x, w); };
        expect_same([&] { return linear(x, w, b); }, plain, inputs, 4 * tolerance(GetParam()));
        expect_same([&] { return linear(x, w, b, After::relu); }, [&] { return at::relu(plain()); },
                    inputs, 4 * tolerance(GetParam()));
      }
  }
  set_linear_backend(before);
}

TEST_P(Operations, EmbeddingEqualsThePlainOne) {
  const at::Tensor tokens = at::randint(11, {4, 9}, at::kLong);
  for (const bool placed : {false, true}) {
    const at::Tensor table = leaf({11, 24}, GetParam());
    const at::Tensor places = placed ? leaf({12, 24}, GetParam()) : at::Tensor();
    std::vector<at::Tensor> inputs = {table};
    if (placed) inputs.push_back(places);
    expect_same([&] { return embedded(tokens, table, places); },
                [&] { return plain::embedded(tokens, table, places); }, inputs,
                tolerance(GetParam()));
  }
}

TEST_P(Operations, CrossEntropyEqualsThePlainOne) {
  for (const int64_t classes : {1, 2, 15, 16, 64, 100, 256}) {
    const at::Tensor logits = leaf({37, classes}, GetParam());
    const at::Tensor labels = at::randint(classes, {37}, at::kLong);
    labels.narrow(0, 5, 9).fill_(kUnscored);
    for (const bool consume : {false, true})
      for (const double smoothing : {0.0, 0.1, 0.7})
        expect_same([&] { return cross_entropy(logits * 3, labels, consume, smoothing); },
                    [&] { return plain::cross_entropy(logits * 3, labels, smoothing); }, {logits},
                    tolerance(GetParam()));
  }
}

TEST(OutputLoss, EqualsThePlainOutputLayerWithItsCrossEntropy) {
  at::manual_seed(7);
  for (const auto& [rows, depth, classes] : std::vector<std::array<int64_t, 3>>{
           {1, 1, 2}, {7, 5, 33}, {96, 16, 48}, {97, 32, 49}, {200, 47, 1000}, {130, 24, 193}})
    for (const bool biased : {false, true})
      for (const double smoothing : {0.0, 0.1}) {
        const at::Tensor x = leaf({rows, depth}, at::kFloat);
        const at::Tensor w = leaf({classes, depth}, at::kFloat);
        const at::Tensor b = biased ? leaf({classes}, at::kFloat) : at::Tensor();
        const at::Tensor labels = at::randint(classes, {rows}, at::kLong);
        if (rows > 2) labels.narrow(0, 1, rows / 3).fill_(kUnscored);
        std::vector<at::Tensor> inputs = {x, w};
        if (biased) inputs.push_back(b);
        expect_same([&] { return output_loss(x, w, b, labels, smoothing); },
                    [&] {
                      const at::Tensor logits = biased ? at::linear(x, w, b) : at::linear(x, w);
                      return plain::cross_entropy(logits, labels, smoothing);
                    },
                    inputs, 2e-5);
      }
}

TEST(OutputLoss, DoesNotDependOnTheThreads) {
  at::manual_seed(7);
  const at::Tensor x = leaf({300, 40}, at::kFloat), w = leaf({1500, 40}, at::kFloat);
  const at::Tensor b = leaf({1500}, at::kFloat), labels = at::randint(1500, {300}, at::kLong);
  const auto found = [&](int threads) {
    at::set_num_threads(threads);
    const at::Tensor loss = output_loss(x, w, b, labels, 0.1);
    auto all = gradients_of(loss, {x, w, b});
    all.push_back(loss.detach());
    at::set_num_threads(1);
    return all;
  };
  const auto one = found(1), three = found(3);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], three[i]));
}

TEST(OutputLoss, LargeLogitsNeitherOverflowNorVanish) {
  const at::Tensor x = at::ones({1, 1}), w = at::zeros({60, 1});
  w[0][0] = 1000, w[2][0] = -1000;
  const auto nats = [&](int64_t label) {
    return output_loss(x, w, {}, at::tensor({label}), 0).item<double>();
  };
  EXPECT_NEAR(nats(0), 0, 1e-6);
  EXPECT_NEAR(nats(1), 1000, 1e-3);
  EXPECT_NEAR(nats(2), 2000, 1e-3);
}

TEST(OutputLoss, ANanIsSeenAndALabelThatIsNoClassIsRefused) {
  const at::Tensor x = at::ones({3, 2}), w = at::zeros({60, 2});
  EXPECT_THROW(output_loss(x, w, {}, at::full({3}, 60, at::kLong), 0), Error);
  w[50][1] = std::nan("");
  EXPECT_TRUE(std::isnan(output_loss(x, w, {}, at::zeros({3}, at::kLong), 0).item<double>()));
}

TEST(OutputLoss, WithoutScoredRowsItIsZeroAndSoAreItsGradients) {
  const at::Tensor x = leaf({4, 7}, at::kFloat), w = leaf({60, 7}, at::kFloat);
  const at::Tensor loss = output_loss(x, w, {}, at::full({4}, kUnscored, at::kLong), 0.1);
  EXPECT_EQ(loss.item<double>(), 0);
  for (const at::Tensor& gradient : gradients_of(loss, {x, w}))
    EXPECT_EQ(gradient.abs().max().item<double>(), 0);
}

TEST_P(Operations, RotaryEqualsThePlainOne) {
  const at::Tensor x = leaf({2, 6, 3 * 8 + 5}, GetParam());
  const Angles a = rotary_angles(9, 8, 100, x.options().requires_grad(false));
  const Angles first = {a.cosines.narrow(0, 0, 6), a.sines.narrow(0, 0, 6)};
  expect_same(
      [&] { return turned(x, 3, a); },
      [&] {
        const at::Tensor front = x.narrow(2, 0, 24).unflatten(2, {3, 8});
        return at::cat(
            {plain::turned(front, first.cosines, first.sines).flatten(2), x.narrow(2, 24, 5)}, 2);
      },
      {x}, tolerance(GetParam()));
}

TEST_P(Operations, DropoutEqualsThePlainOneMaskAndAll) {
  const at::Tensor x = leaf({3, 77}, GetParam()), y = leaf({3, 77}, GetParam());
  for (const double p : {0.1, 0.5, 0.9}) {
    const uint64_t seed = stream_seed(3, 5);
    expect_same([&] { return dropped(x, p, seed); }, [&] { return plain::dropped(x, p, seed); },
                {x}, tolerance(GetParam()));
    expect_same([&] { return add_dropped(y, x, p, seed); },
                [&] { return y + plain::dropped(x, p, seed); }, {x, y}, tolerance(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(FloatAndDouble, Operations, ::testing::Values(at::kFloat, at::kDouble),
                         [](const auto& of) { return std::string(c10::toString(of.param)); });

TEST(Gradients, OfEveryFusedOperationAreFiniteDifferences) {
  at::manual_seed(3);
  const at::Tensor x = leaf({2, 4, 10}), gain = leaf({10}), shift = leaf({10});
  for (const Norm kind : {Norm::rms, Norm::layer})
    expect_gradient([&] { return normalised(x, {gain, shift}, kind, 1e-5); }, {x, gain, shift});
  const at::Tensor weight = leaf({6, 10}), bias = leaf({6});
  expect_gradient([&] { return linear(x, weight, bias); }, {x, weight, bias});
  const at::Tensor branch = leaf({2, 4, 10});
  expect_gradient([&] { return add_dropped(x, branch, 0.3, 9); }, {x, branch});
  expect_gradient([&] { return dropped(x, 0.3, 9); }, {x});
  const at::Tensor table = leaf({5, 10}), places = leaf({4, 10});
  const at::Tensor tokens = at::randint(5, {2, 4}, at::kLong);
  expect_gradient([&] { return embedded(tokens, table, places); }, {table, places});
  const at::Tensor logits = leaf({8, 5});
  expect_gradient([&] { return cross_entropy(logits, tokens.flatten(), false); }, {logits});
  const Angles angles = rotary_angles(4, 4, 50, at::kDouble);
  expect_gradient([&] { return turned(x, 2, angles); }, {x});
}

TEST(Norm, SumsOverRowsDoNotDependOnTheThreads) {
  const at::Tensor x = leaf({3000, 48}, at::kFloat), gain = leaf({48}, at::kFloat);
  const auto gradients = [&](int threads) {
    at::set_num_threads(threads);
    const auto g =
        gradients_of(normalised(x, {gain, {}}, Norm::rms, 1e-6).square().sum(), {x, gain});
    at::set_num_threads(1);
    return g;
  };
  const auto one = gradients(1), two = gradients(2);
  EXPECT_TRUE(at::equal(one[0], two[0]));
  EXPECT_TRUE(at::equal(one[1], two[1]));
}

TEST(Dropout, KeepsTheExpectedShareAndForgetsNothingBetweenSeeds) {
  const int64_t n = 1'000'000;
  const at::Tensor ones = at::ones({n});
  for (const double p : {0.05, 0.1, 0.5}) {
    const at::Tensor a = dropped(ones, p, stream_seed(1, 0)).eq(0).to(at::kDouble);
    const at::Tensor b = dropped(ones, p, stream_seed(1, 1)).eq(0).to(at::kDouble);
    const double sigma = std::sqrt(p * (1 - p) / n);
    EXPECT_NEAR(a.mean().item<double>(), p, 5 * sigma);
    EXPECT_NEAR(b.mean().item<double>(), p, 5 * sigma);
    // Neither neighbours nor the same place under another seed are related.
    const double both = p * p, of_both = std::sqrt(both * (1 - both) / n);
    EXPECT_NEAR((a * b).mean().item<double>(), both, 5 * of_both);
    for (const int64_t lag : {1, 2, 16, 64})
      EXPECT_NEAR((a.narrow(0, 0, n - lag) * a.narrow(0, lag, n - lag)).mean().item<double>(), both,
                  5 * of_both);
  }
}

TEST(Dropout, KeepsTheMeanOfWhatItScales) {
  EXPECT_NEAR(dropped(at::ones({1'000'000}), 0.1, 77).mean().item<double>(), 1, 0.002);
  EXPECT_TRUE(at::equal(dropped(at::ones({10}), 0, 77), at::ones({10})));
}

TEST(Embedding, ATokenOutsideOfTheVocabularyIsRefused) {
  const at::Tensor table = at::zeros({5, 4});
  for (const int64_t bad : {-1, 5}) {
    const at::Tensor tokens = at::zeros({2, 3}, at::kLong);
    tokens[1][2] = bad;
    try {
      embedded(tokens, table, {});
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("row 1, place 2 is outside"));
    }
  }
}

TEST(CrossEntropy, WithoutScoredRowsTheLossAndItsGradientAreZero) {
  const at::Tensor logits = leaf({4, 7});
  const at::Tensor loss = cross_entropy(logits, at::full({4}, kUnscored, at::kLong), false);
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_TRUE(at::equal(gradients_of(loss, {logits})[0], at::zeros({4, 7}, at::kDouble)));
}

TEST(CrossEntropy, ALabelThatIsNoClassIsRefused) {
  EXPECT_THROW(cross_entropy(at::zeros({1, 3}), at::full({1}, 3, at::kLong), false), Error);
  EXPECT_THROW(cross_entropy(at::zeros({1, 3}), at::full({1}, -1, at::kLong), false), Error);
}

TEST(CrossEntropy, LargeLogitsNeitherOverflowNorVanish) {
  const at::Tensor logits = at::tensor({1000.0f, 0.0f, -1000.0f}).view({1, 3});
  EXPECT_NEAR(cross_entropy(logits, at::tensor({int64_t{1}}), false).item<double>(), 1000, 1e-3);
  EXPECT_NEAR(cross_entropy(logits, at::tensor({int64_t{0}}), false).item<double>(), 0, 1e-6);
}

TEST(CrossEntropy, ANanIsSeenInTheLoss) {
  const at::Tensor logits = at::zeros({2, 40});
  logits[1][20] = std::nan("");
  EXPECT_TRUE(std::isnan(cross_entropy(logits, at::zeros({2}, at::kLong), false).item<double>()));
}

TEST(CrossEntropy, ScoresNameTheFirstOfEqualLogits) {
  const at::Tensor logits = at::zeros({2, 40});
  logits[1][17] = logits[1][31] = 2;
  const Scores all = scores(logits, at::tensor({int64_t{3}, kUnscored}));
  EXPECT_EQ(all.largest[0].item<int64_t>(), 0);
  EXPECT_EQ(all.largest[1].item<int64_t>(), 17);
  EXPECT_NEAR(all.nats[0].item<double>(), std::log(40), 1e-6);
  EXPECT_EQ(all.nats[1].item<double>(), 0);
}

// Inputs, gradients and results each lose what is behind 8 bits.
TEST(Linear, InBfloat16ItIsTheProductOfRoundedInputs) {
  at::manual_seed(7);
  const auto rounded = [](const at::Tensor& t) { return t.to(at::kBFloat16).to(at::kFloat); };
  for (const auto& [rows, in, out] :
       std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {7, 5, 3}, {130, 64, 33}}) {
    const at::Tensor x = leaf({rows, in}, at::kFloat), w = leaf({out, in}, at::kFloat);
    const at::Tensor b = leaf({out}, at::kFloat), weights = at::randn({rows, out});
    std::vector<at::Tensor> found;
    at::Tensor y;
    {
      const UsePrecision bfloat16(Precision::bfloat16);
      y = linear(x, w, b);
    }
    found = gradients_of((y * weights).sum(), {x, w, b});  // as the forward pass was
    const at::Tensor rx = rounded(x.detach()), rw = rounded(w.detach()), rg = rounded(weights);
    expect_close(y, rounded(rx.mm(rw.t())) + b, 1e-2);
    EXPECT_TRUE(at::equal(rounded(found[0]), found[0]));
    expect_close(found[0], rg.mm(rw), 1e-2);
    expect_close(found[1], rg.t().mm(rx), 1e-2);
    expect_close(found[2], weights.sum(0), 2e-5);
    EXPECT_FALSE(rows > 1 && at::equal(y, linear(x, w, b)));
  }
}

TEST(Linear, AnUnknownBackendIsRefused) { EXPECT_THROW(set_linear_backend("cublas"), Error); }

}  // namespace
}  // namespace headlight::model::testing
