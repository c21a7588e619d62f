// Heads of two models matched head to head: another order, pruned layers, and models that do not
// fit.
#include "lab/comparison.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include "headlight/error.h"

namespace headlight::lab {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kHeads = 4, kWide = 4;  // heads of a layer, elements of a head

model::Config tiny() {
  model::Config c;
  c.vocabulary = 23;
  c.dim = kHeads * kWide;
  c.heads = kHeads;
  c.layers = 2;
  c.positions = 12;
  return c;
}

std::vector<Example> texts() {
  std::vector<Example> examples;
  for (const int64_t length : {12, 7, 9}) {
    Example& example = examples.emplace_back();
    example.inputs.tokens =
        (at::arange(length, at::kLong).pow(2) * 5 + length).remainder(23).unsqueeze(0);
  }
  return examples;
}

// The model with these heads alone in its first layer, in this order.
model::Transformer with_heads(const model::Transformer& from, const std::vector<int64_t>& kept) {
  const at::NoGradGuard no_gradients;
  model::Config config = from.config;
  const auto count = static_cast<int64_t>(kept.size());
  model::LayerHeads first{.heads = count, .kv_heads = count, .head_dim = kWide, .numbers = kept};
  model::LayerHeads second{.heads = kHeads, .kv_heads = kHeads, .head_dim = kWide};
  config.decoder_attention = {first, second};
  model::Transformer made = model::initialised(config, 9);
  const auto ours = model::parameters(made), theirs = model::parameters(from);
  std::vector<int64_t> rows;
  for (const int64_t part : {0, 1, 2})
    for (const int64_t head : kept)
      for (int64_t c = 0; c < kWide; ++c) rows.push_back((part * kHeads + head) * kWide + c);
  const std::vector<int64_t> columns(rows.begin(), rows.begin() + count * kWide);
  for (size_t i = 0; i < ours.size(); ++i) {
    at::Tensor value = theirs[i].tensor.detach();
    if (ours[i].name.starts_with("decoder.blocks.0.attention.qkv"))
      value = value.index_select(0, at::tensor(rows, at::kLong));
    else if (ours[i].name == "decoder.blocks.0.attention.out.weight")
      value = value.index_select(1, at::tensor(columns, at::kLong));
    ours[i].tensor.copy_(value);
  }
  return made;
}

// b's number of each head of a; -1: it has no partner.
std::vector<int64_t> partners(const ComparedLayer& layer) {
  std::vector<int64_t> numbers(layer.heads_a.size(), -1);
  for (const HeadMatch& match : layer.matches)
    if (match.a && match.b)
      numbers[static_cast<size_t>(*match.a)] = layer.heads_b[static_cast<size_t>(*match.b)];
  return numbers;
}

TEST(Comparison, FindsTheOrderOfShuffledHeads) {
  const model::Transformer a = model::initialised(tiny(), 1);
  model::Transformer b = with_heads(a, {2, 3, 1, 0});
  b.decoder.blocks[0].attention.heads.numbers.clear();  // they are 0, 1, 2, 3 of another training
  const Comparison found = compare(a, b, texts(), {});
  ASSERT_EQ(found.layers.size(), 2);
  EXPECT_EQ(found.rows, 28);
  EXPECT_THAT(partners(found.layers[0]), ElementsAre(3, 2, 0, 1));
  EXPECT_THAT(partners(found.layers[1]), ElementsAre(0, 1, 2, 3));
  for (const ComparedLayer& layer : found.layers)
    for (const HeadMatch& match : layer.matches) {
      EXPECT_LT(*match.distance, 1e-3);
      EXPECT_EQ(match.change, Change::same);
      EXPECT_LE(match.interval->low, *match.distance + 1e-12);
      EXPECT_GE(match.interval->high, *match.distance - 1e-12);
    }
  EXPECT_EQ(count_changes(found).renumbered, 4);
}

TEST(Comparison, PrunedHeadsDiedAndTheOthersKeepTheirNumbers) {
  const model::Transformer a = model::initialised(tiny(), 2);
  const Comparison found = compare(a, with_heads(a, {0, 1, 3}), texts(), {});
  EXPECT_THAT(partners(found.layers[0]), ElementsAre(0, 1, -1, 3));
  EXPECT_EQ(found.layers[0].matches[2].change, Change::died);
  EXPECT_FALSE(found.layers[0].matches[2].distance);
  EXPECT_EQ(count_changes(found).renumbered, 0);
  const Comparison back = compare(with_heads(a, {0, 1, 3}), a, texts(), {});
  EXPECT_EQ(back.layers[0].matches.back().change, Change::appeared);
  EXPECT_EQ(back.layers[0].matches.back().b, 2);
}

TEST(Comparison, ALayerWithoutHeadsLostThemAll) {
  const model::Transformer a = model::initialised(tiny(), 3);
  const Comparison found = compare(a, with_heads(a, {}), texts(), {});
  ASSERT_EQ(found.layers.size(), 2);
  EXPECT_EQ(found.layers[0].matches.size(), 4);
  for (const HeadMatch& match : found.layers[0].matches) EXPECT_EQ(match.change, Change::died);
  EXPECT_EQ(farthest(found.layers[0]), nullptr);
  EXPECT_NE(farthest(found.layers[1]), nullptr);
}

TEST(Comparison, ModelsThatCannotBeLaidOverEachOtherAreRefused) {
  const model::Transformer a = model::initialised(tiny(), 1);
  model::Config deeper = tiny(), wordier = tiny(), both_ways = tiny();
  deeper.layers = 3;
  wordier.vocabulary = 24;
  both_ways.kind = model::Kind::encoder_only;
  for (const model::Config& config : {deeper, wordier, both_ways})
    EXPECT_THROW(compare(a, model::initialised(config, 1), texts(), {}), Error);
}

}  // namespace
}  // namespace headlight::lab
