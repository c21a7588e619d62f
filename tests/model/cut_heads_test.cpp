// Heads that are cut out, against the same model with their gates closed: any set, any options.
#include "model/cut_heads.h"

#include <gmock/gmock.h>

#include "compare.h"
#include "drawn_model.h"
#include "headlight/error.h"
#include "model/parameters.h"

namespace headlight::model::testing {
namespace {

// Whole groups, on average one in `of`; sometimes every head of a layer.
std::vector<HeadPlace> some_heads(Drawing& draw, const Config& c, int64_t of) {
  std::vector<HeadPlace> heads;
  for (const NamedPart& part : parts_of(c))
    for (int64_t layer = 0; layer < part.layers; ++layer) {
      const LayerHeads h = layer_heads(c, part.part, layer);
      const bool whole_layer = draw.below(6) == 0;
      for (int64_t group = 0; group < h.kv_heads; ++group) {
        if (!whole_layer && draw.below(of) != 0) continue;
        const int64_t size = h.heads / h.kv_heads;
        for (int64_t i = 0; i < size; ++i) heads.push_back({part.stack, layer, group * size + i});
      }
    }
  return heads;
}

at::Tensor with_gates(const Transformer& model, const std::vector<HeadPlace>& closed,
                      const Inputs& in) {
  const Gates gates = closed_gates(model, closed);
  Pass pass;
  pass.gates = &gates;
  return logits(model, in, pass);
}

TEST(CutHeads, OfAnyModelAreHeadsWithClosedGates) {
  c10::NoGradGuard no_grad;
  at::manual_seed(41);
  Drawing draw(41);
  for (int trial = 0; trial < 120; ++trial) {
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    const Transformer model = exact(draw.config(), static_cast<uint64_t>(trial));
    const std::vector<HeadPlace> gone = some_heads(draw, model.config, 2);
    const Inputs in = random_inputs(model.config, 2, 6);
    const at::Tensor expected = with_gates(model, gone, in);
    const Transformer cut = cut_heads(model, gone);
    expect_close(logits(cut, in), expected, 1e-11);
    expect_close(logits(put_back(cut, model, gone), in), expected, 1e-11);

    int64_t numbers = 0;
    for (const NamedTensor& p : parameters(cut)) numbers += p.tensor.numel();
    EXPECT_EQ(numbers, parameter_count(cut.config));
    EXPECT_EQ(all_heads(model.config).size() - gone.size(), all_heads(cut.config).size());
    // It is the model that its config describes.
    const auto shapes = parameters(unfilled(cut.config)), own = parameters(cut);
    ASSERT_EQ(shapes.size(), own.size());
    for (size_t i = 0; i < own.size(); ++i)
      EXPECT_EQ(own[i].tensor.sizes(), shapes[i].tensor.sizes());
  }
}

// The head of the model at hand that was `place.head` before others were cut.
int64_t number_of(const Config& c, Part part, const HeadPlace& place) {
  const LayerHeads h = layer_heads(c, part, place.layer);
  return h.numbers.empty() ? place.head : h.numbers.at(static_cast<size_t>(place.head));
}

TEST(CutHeads, OfACutModelAreCutFromTheFirstOne) {
  c10::NoGradGuard no_grad;
  at::manual_seed(42);
  Drawing draw(42);
  for (int trial = 0; trial < 40; ++trial) {
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    Config c = draw.config();
    c.encoder_attention.clear();  // so that a head's number is its place
    c.decoder_attention.clear();
    c.cross_attention.clear();
    const Transformer model = exact(c, static_cast<uint64_t>(trial));
    std::vector<HeadPlace> all = some_heads(draw, model.config, 3);
    const Transformer once = cut_heads(model, all);
    const std::vector<HeadPlace> more = some_heads(draw, once.config, 3);
    const Transformer twice = cut_heads(once, more);
    for (const NamedPart& part : parts_of(c))
      for (const HeadPlace& place : more)
        if (place.stack == part.stack)
          all.push_back({place.stack, place.layer, number_of(once.config, part.part, place)});
    const Inputs in = random_inputs(model.config, 2, 6);
    expect_close(logits(twice, in), with_gates(model, all, in), 1e-11);
    EXPECT_EQ(twice.config, cut_heads(model, all).config);
  }
}

TEST(CutHeads, LeaveTheModelTheyCameFromAsItWas) {
  c10::NoGradGuard no_grad;
  Config c;
  c.vocabulary = 11;
  c.dim = 8;
  c.heads = 4;
  c.positions = 9;
  const Transformer model = initialised(c, 5);
  const Transformer copy = copy_of(model);
  cut_heads(model, {{"self", 0, 1}});
  put_back(cut_heads(model, {{"self", 0, 2}}), model, {{"self", 0, 2}});
  const auto before = parameters(copy), after = parameters(model);
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i].tensor, after[i].tensor)) << before[i].name;
  EXPECT_TRUE(cut_heads(model, {}).decoder.blocks[0].attention.qkv.weight.requires_grad());
  EXPECT_TRUE(
      cut_heads(model, {{"self", 0, 1}}).decoder.blocks[0].attention.qkv.weight.requires_grad());
}

TEST(CutHeads, OfAGroupGoTogetherOrAreRefusedByName) {
  Config c;
  c.vocabulary = 11;
  c.dim = 8;
  c.heads = 4;
  c.kv_heads = 2;
  c.positions = 9;
  const Transformer model = initialised(c, 5);
  const std::vector<HeadPlace> group = {{"self", 0, 3}, {"self", 0, 2}, {"self", 0, 3}};
  EXPECT_EQ(whole_groups(model.config, group),
            (std::vector<HeadPlace>{{"self", 0, 2}, {"self", 0, 3}}));
  try {
    cut_heads(model, {{"self", 0, 0}, {"self", 0, 1}, {"self", 0, 3}});
    FAIL() << "a part of a group was cut";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("self.0.2 to self.0.3"));
  }
  EXPECT_THROW(cut_heads(model, {{"self", 1, 0}}), Error);
  EXPECT_THROW(cut_heads(model, {{"cross", 0, 0}}), Error);
}

}  // namespace
}  // namespace headlight::model::testing
