// Rankings against other ways to the same numbers: weights of heads set to zero, means added to
// biases, finite differences in double; and the public fixtures of every architecture.
#include "lab/ranking.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "headlight/error.h"
#include "lab/gate_gradients.h"
#include "lab/removal_losses.h"
#include "model/checkpoint.h"
#include "model/run.h"
#include "public_models.h"

namespace headlight::lab::testing {
namespace {

namespace fs = std::filesystem;
using headlight::testing::arrays;
using headlight::testing::public_models;
using headlight::testing::short_name;
using model::Transformer;

model::Config tiny(model::Kind kind) {
  model::Config c;
  c.kind = kind;
  c.vocabulary = 11;
  c.dim = 16;
  c.layers = 2;
  c.heads = 4;
  c.ffn = 24;
  c.positions = 12;
  c.causal = kind != model::Kind::encoder_only;
  return c;
}

// Texts of different lengths; some labels are not scored, and one text has none at all.
std::vector<Example> examples_for(const model::Config& c, int64_t count) {
  std::vector<Example> examples;
  for (int64_t i = 0; i < count; ++i) {
    const auto row = [&](int64_t length, int64_t salt) {
      return (at::arange(length) * (2 * i + 3) + i * salt).remainder(11).view({1, length});
    };
    const int64_t length = 4 + 3 * i % 7;
    Example example;
    example.inputs.tokens = row(length, 5);
    if (c.kind == model::Kind::encoder_decoder) example.inputs.source = row(3 + i % 4, 7);
    example.labels = row(length, 2).clone();
    example.labels.narrow(1, 0, 1 + i % 3).fill_(model::kUnscored);
    if (i == 2) example.labels.fill_(model::kUnscored);
    examples.push_back(example);
  }
  return examples;
}

const model::Linear& out_of(const Transformer& model, const HeadLayer& layer) {
  const auto at = static_cast<size_t>(layer.layer);
  if (layer.stack == "cross") return model.decoder.blocks[at].cross.out;
  const bool encoder = layer.stack == "encoder" || model.decoder.blocks.empty();
  return (encoder ? model.encoder : model.decoder).blocks[at].attention.out;
}

// The same model in double, with the output weights of some heads at zero.
Transformer zeroed(const Transformer& model, const HeadSet& removed) {
  c10::NoGradGuard no_grad;
  const Transformer copy = model::copy_of(model, at::kDouble, "cpu");
  for (const HeadLayer& layer : head_layers(model.config))
    for (int64_t h = 0; h < layer.heads; ++h)
      if (removed[static_cast<size_t>(layer.first + h)])
        out_of(copy, layer).weight.narrow(1, h * layer.head_dim, layer.head_dim).zero_();
  return copy;
}

// Example by example, without any batch.
double loss_of(const Transformer& model, const std::vector<Example>& examples,
               const model::Gates* gates = nullptr) {
  c10::NoGradGuard no_grad;
  double nats = 0, scored = 0;
  for (const Example& example : examples) {
    model::Pass pass;
    pass.gates = gates;
    const auto own = example.labels.ne(model::kUnscored).sum().item<double>();
    if (own > 0)
      nats += own * model::loss(model, example.inputs, example.labels, pass).item<double>();
    scored += own;
  }
  return nats / scored;
}

HeadSet only(size_t heads, size_t head) {
  HeadSet set(heads);
  set[head] = true;
  return set;
}

// These tensors are too small to share.
class OneRanking : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};

class EveryKind : public ::testing::TestWithParam<model::Kind> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    model_ = model::initialised(tiny(GetParam()), 3);
    examples_ = examples_for(model_.config, 6);
  }
  Transformer model_;
  std::vector<Example> examples_;
};

TEST_P(EveryKind, GateGradientsAreFiniteDifferencesOfEveryExamplesLoss) {
  const auto found = gate_gradients(model_, batches_of(model_.config, examples_, 20));
  const Transformer exact = model::copy_of(model_, at::kDouble, "cpu");
  const std::vector<HeadLayer> layers = head_layers(model_.config);
  constexpr double kStep = 1e-4;
  for (size_t x = 0; x < examples_.size(); ++x) {
    const auto scored = examples_[x].labels.ne(model::kUnscored).sum().item<double>();
    for (const HeadLayer& layer : layers)
      for (int64_t h = 0; h < layer.heads; ++h) {
        double ends[2];
        for (const int side : {0, 1}) {
          model::Gates gates;
          for (const HeadLayer& l : layers)
            gates.factors[l.stack].push_back(at::ones({l.heads}, at::kDouble));
          gates.factors[layer.stack][static_cast<size_t>(layer.layer)][h] += side ? kStep : -kStep;
          ends[side] = scored > 0 ? loss_of(exact, {examples_[x]}, &gates) * scored : 0;
        }
        EXPECT_NEAR(found[x][static_cast<size_t>(layer.first + h)],
                    (ends[1] - ends[0]) / (2 * kStep), 2e-5)
            << "example " << x << ", " << layer.stack << "." << layer.layer << "." << h;
      }
  }
  EXPECT_TRUE(model::parameters(model_)[0].tensor.requires_grad());
}

TEST_P(EveryKind, ScoresAreMeansOverExamplesAndOverLabels) {
  const Ranking ranking = rank(model_, examples_);
  const auto nats = gate_gradients(model_, batches_of(model_.config, examples_, 1000));
  std::vector<double> scored;
  for (const Example& example : examples_)
    scored.push_back(example.labels.ne(model::kUnscored).sum().item<double>());
  const heads::GateScores& scores = ranking.of_heads.scores;
  for (size_t h = 0; h < ranking.heads.size(); ++h) {
    double all = 0, labels = 0, sizes = 0, texts = 0;
    for (size_t x = 0; x < examples_.size(); ++x) {
      if (scored[x] == 0) continue;
      all += nats[x][h];
      labels += scored[x];
      sizes += std::abs(nats[x][h] / scored[x]);
      ++texts;
    }
    EXPECT_NEAR(scores.gate_gradient[h], all / labels, 1e-6);
    EXPECT_NEAR(scores.gate_gradient_absolute[h], std::abs(all / labels), 1e-6);
    EXPECT_NEAR(scores.gate_gradient_per_example[h], sizes / texts, 1e-6);
    const heads::Interval& interval = ranking.of_heads.score_intervals[h];
    EXPECT_LE(interval.low, scores.gate_gradient_per_example[h]);
    EXPECT_GE(interval.high, scores.gate_gradient_per_example[h]);
  }
}

TEST_P(EveryKind, AHeadTakenAwayIsOneWithoutOutputWeights) {
  const Ranking ranking = rank(model_, examples_);
  EXPECT_NEAR(ranking.loss, loss_of(model::copy_of(model_, at::kDouble, "cpu"), examples_), 1e-6);
  for (size_t h = 0; h < ranking.heads.size(); ++h) {
    const double without = loss_of(zeroed(model_, only(ranking.heads.size(), h)), examples_);
    EXPECT_NEAR(ranking.of_heads.ablation_loss[h], without, 1e-5);
    EXPECT_NEAR(ranking.of_heads.ablation_zero[h], without - ranking.loss, 1e-5);
    const heads::Interval& interval = ranking.of_heads.zero_intervals[h];
    EXPECT_NEAR(interval.mean, ranking.of_heads.ablation_zero[h], 1e-12);
    EXPECT_TRUE(interval.low <= interval.mean && interval.mean <= interval.high);
  }
}

TEST_P(EveryKind, AHeadReplacedByItsMeanIsABias) {
  c10::NoGradGuard no_grad;
  const Ranking ranking = rank(model_, examples_);
  const Transformer exact = model::copy_of(model_, at::kDouble, "cpu");
  for (const HeadLayer& layer : head_layers(model_.config)) {
    at::Tensor sum = at::zeros({layer.heads, layer.head_dim}, at::kDouble);
    double rows = 0;
    for (const Example& example : examples_) {
      model::Capture capture;
      model::Pass pass;
      pass.capture = &capture;
      model::hidden(exact, example.inputs, pass);
      for (const model::Capture::Layer& l : capture.layers) {
        if (l.stack != layer.stack || l.layer != layer.layer) continue;
        const at::Tensor v = l.v.repeat_interleave(l.q.size(1) / l.v.size(1), 1);
        const at::Tensor heads = at::matmul(model::probabilities(l), v)[0];  // [H, N, d]
        sum += heads.sum(1);
        rows += static_cast<double>(heads.size(1));
      }
    }
    for (int64_t h = 0; h < layer.heads; ++h) {
      const auto place = static_cast<size_t>(layer.first + h);
      const Transformer changed = zeroed(model_, only(ranking.heads.size(), place));
      const at::Tensor weight =
          out_of(exact, layer).weight.narrow(1, h * layer.head_dim, layer.head_dim);
      out_of(changed, layer).bias.detach().add_(at::mv(weight, sum[h] / rows));
      EXPECT_NEAR(ranking.of_heads.ablation_mean[place], loss_of(changed, examples_) - ranking.loss,
                  1e-5);
    }
  }
}

TEST_P(EveryKind, CurvesHoldTheLossesOfTheHeadsThatAreLeft) {
  const Ranking ranking = rank(model_, examples_);
  const size_t heads = ranking.heads.size();
  for (const bool greedy : {false, true}) {
    const auto& curve = greedy ? ranking.of_heads.greedy : ranking.of_heads.gate;
    ASSERT_TRUE(curve && curve->losses.size() == heads + 1);
    HeadSet removed(heads);
    for (size_t k = 0; k <= heads; ++k) {
      EXPECT_NEAR(curve->losses[k], loss_of(zeroed(model_, removed), examples_), 1e-5) << k;
      if (k == heads) break;
      const auto next = static_cast<size_t>(curve->order[k]);
      if (greedy && k < 3)  // every other head costs at least as much
        for (size_t other = 0; other < heads; ++other) {
          if (removed[other]) continue;
          HeadSet also = removed;
          also[other] = true;
          EXPECT_LE(curve->losses[k + 1], loss_of(zeroed(model_, also), examples_) + 1e-5);
        }
      removed[next] = true;
    }
  }
  EXPECT_TRUE(std::ranges::is_sorted(ranking.of_heads.gate->order, {}, [&](int64_t h) {
    return ranking.of_heads.scores.gate_gradient_per_example[static_cast<size_t>(h)];
  }));
  EXPECT_NEAR(ranking.of_heads.gate->losses.back(), ranking.of_heads.greedy->losses.back(), 1e-6);
}

void expect_same(const Importance& a, const Importance& b) {
  EXPECT_EQ(a.scores.gate_gradient, b.scores.gate_gradient);
  EXPECT_EQ(a.scores.gate_gradient_per_example, b.scores.gate_gradient_per_example);
  EXPECT_EQ(a.ablation_zero, b.ablation_zero);
  EXPECT_EQ(a.ablation_mean, b.ablation_mean);
  EXPECT_EQ(a.greedy->order, b.greedy->order);
  EXPECT_EQ(a.greedy->losses, b.greedy->losses);
  EXPECT_EQ(a.gate->losses, b.gate->losses);
}

TEST_P(EveryKind, ARankingThatWasStoppedGoesOnToTheSameNumbers) {
  const Ranking whole = rank(model_, examples_);
  const fs::path file =
      fs::temp_directory_path() / ("headlight-rank-" + std::to_string(::getpid()));
  const uint64_t print = fingerprint(model_, examples_);
  fs::remove(file);
  for (int sitting = 0; sitting < 200; ++sitting) {
    RankingState state = load_ranking_state(file, print);
    int passes = 0;
    try {
      const Ranking resumed = rank(model_, examples_, {}, &state, [&](double done, double all) {
        EXPECT_LE(done, all);
        if (++passes > 3) throw Error(ErrorKind::interrupted, "stopped");
      });
      EXPECT_GT(sitting, 2);
      expect_same(whole.of_heads, resumed.of_heads);
      fs::remove(file);
      return;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::interrupted) << error.what();
      save(state, print, file);
    }
  }
  FAIL() << "never finished";
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryKind,
                         ::testing::Values(model::Kind::decoder_only, model::Kind::encoder_only,
                                           model::Kind::encoder_decoder),
                         [](const auto& kind) {
                           return kind.param == model::Kind::decoder_only   ? "decoder"
                                  : kind.param == model::Kind::encoder_only ? "encoder"
                                                                            : "both";
                         });

TEST_F(OneRanking, HeadsThatShareKeysAreRankedAsGroupsToo) {
  model::Config c = tiny(model::Kind::decoder_only);
  c.kv_heads = 2;
  const Transformer model = model::initialised(c, 5);
  const std::vector<Example> examples = examples_for(c, 4);
  const Ranking ranking = rank(model, examples);
  ASSERT_EQ(ranking.groups, (std::vector<std::vector<int64_t>>{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  const auto nats = gate_gradients(model, batches_of(model.config, examples, 1000));
  for (size_t g = 0; g < 4; ++g) {
    HeadSet removed(8);
    double score = 0, texts = 0;
    for (const int64_t h : ranking.groups[g]) removed[static_cast<size_t>(h)] = true;
    for (size_t x = 0; x < examples.size(); ++x) {
      const auto scored = examples[x].labels.ne(model::kUnscored).sum().item<double>();
      if (scored == 0) continue;
      score += std::abs(nats[x][2 * g] + nats[x][2 * g + 1]) / scored;
      ++texts;
    }
    const Importance& found = ranking.of_groups;
    EXPECT_NEAR(found.ablation_loss[g], loss_of(zeroed(model, removed), examples), 1e-5);
    EXPECT_NEAR(found.scores.gate_gradient_per_example[g], score / texts, 1e-6);
    EXPECT_NEAR(found.scores.gate_gradient[g],
                ranking.of_heads.scores.gate_gradient[2 * g] +
                    ranking.of_heads.scores.gate_gradient[2 * g + 1],
                1e-9);
  }
  EXPECT_EQ(ranking.of_groups.gate->losses.size(), 5u);
  EXPECT_EQ(ranking.of_groups.greedy->order.size(), 4u);
}

TEST_F(OneRanking, LayersMayDifferAndMayHaveNoHeadsAtAll) {
  model::Config c = tiny(model::Kind::decoder_only);
  c.layers = 3;
  c.decoder_attention = {{.heads = 3, .kv_heads = 3, .head_dim = 4},
                         {.heads = 0, .kv_heads = 0, .head_dim = 4},
                         {.heads = 1, .kv_heads = 1, .head_dim = 4}};
  const Transformer model = model::initialised(c, 5);
  model.decoder.blocks[1].attention.out.bias.detach().fill_(0.1);  // its fan-in is 0
  const std::vector<Example> examples = examples_for(c, 4);
  const Ranking ranking = rank(model, examples);
  ASSERT_EQ(ranking.heads.size(), 4u);
  EXPECT_TRUE(ranking.groups.empty());
  for (size_t h = 0; h < 4; ++h)
    EXPECT_NEAR(ranking.of_heads.ablation_loss[h], loss_of(zeroed(model, only(4, h)), examples),
                1e-5);
}

TEST_F(OneRanking, OfTheGradientAloneCostsNoRemovals) {
  const Transformer model = model::initialised(tiny(model::Kind::decoder_only), 3);
  RankingState state;
  const Ranking ranking = rank(model, examples_for(model.config, 3),
                               {.ablations = false, .curve = false, .greedy_losses = 0}, &state);
  EXPECT_EQ(state.losses.size(), 1u);
  EXPECT_EQ(ranking.of_heads.scores.gate_gradient.size(), 8u);
  EXPECT_TRUE(ranking.of_heads.ablation_zero.empty() && !ranking.of_heads.gate &&
              !ranking.of_heads.greedy);
}

TEST_F(OneRanking, DataWithoutLabelsIsRefused) {
  const Transformer model = model::initialised(tiny(model::Kind::decoder_only), 3);
  std::vector<Example> examples = examples_for(model.config, 2);
  for (Example& example : examples) example.labels.fill_(model::kUnscored);
  EXPECT_THROW(rank(model, examples), Error);
}

TEST(RankingState, BelongsToOneModelAndItsData) {
  const Transformer model = model::initialised(tiny(model::Kind::decoder_only), 3);
  const Transformer other = model::initialised(tiny(model::Kind::decoder_only), 4);
  std::vector<Example> examples = examples_for(model.config, 3);
  const uint64_t print = fingerprint(model, examples);
  EXPECT_EQ(print, fingerprint(model, examples_for(model.config, 3)));
  EXPECT_NE(print, fingerprint(other, examples));
  examples[1].labels[0][3] = 1 - examples[1].labels[0][3];
  EXPECT_NE(print, fingerprint(model, examples));
}

class PublicFixture : public ::testing::TestWithParam<std::string> {};

TEST_P(PublicFixture, GradientsAndAblationsAreTheExpectedOnes) {
  const fs::path folder = fs::path(HEADLIGHT_SHARED_DATA) / "models" / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << "no shared data at " << folder;
  auto given = arrays(folder / "inputs.npz"), expected = arrays(folder / "expected.npz");
  Transformer model = model::load(folder);
  if (given.contains("readout_weight"))
    model = model::with_readout(model, given["readout_weight"], given["readout_bias"]);
  const at::Tensor labels = model::own_labels(model.config, given["labels"]);
  std::vector<Example> examples;
  for (int64_t row = 0; row < labels.size(0); ++row) {
    const auto one = [&](const char* name) {
      return given.contains(name) ? given[name].narrow(0, row, 1) : at::Tensor();
    };
    Example& example = examples.emplace_back();
    const bool both = given.contains("decoder_input_ids");
    (both ? example.inputs.source : example.inputs.tokens) = one("input_ids");
    (both ? example.inputs.source_mask : example.inputs.mask) = one("attention_mask");
    if (both) example.inputs.tokens = one("decoder_input_ids");
    if (both) example.inputs.mask = one("decoder_attention_mask");
    example.inputs.pixels = one("pixel_values");
    example.inputs.token_types = one("token_type_ids");
    example.labels = labels.narrow(0, row, 1);
  }
  const Ranking ranking = rank(model, examples, {.curve = false, .greedy_losses = 0});
  EXPECT_NEAR(ranking.loss, expected["loss"].item<double>(), 1e-5 * ranking.loss);
  for (const char* name : {"gate_gradient", "ablation_loss"})
    for (size_t h = 0; h < ranking.heads.size(); ++h) {
      const model::HeadPlace& place = ranking.heads[h];
      const at::Tensor& theirs = expected.at(name + ("." + place.stack));
      const double ours = name == std::string("gate_gradient")
                              ? ranking.of_heads.scores.gate_gradient[h]
                              : ranking.of_heads.ablation_loss[h];
      EXPECT_NEAR(ours, theirs[place.layer][place.head].item<double>(),
                  1e-4 * theirs.abs().max().item<double>())
          << name << " of " << model::name_of(place);
    }
}

INSTANTIATE_TEST_SUITE_P(Models, PublicFixture, public_models(), short_name);

}  // namespace
}  // namespace headlight::lab::testing
