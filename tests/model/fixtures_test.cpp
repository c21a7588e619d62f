// The public checkpoints with golden values, where the shared data is there: everything that its
// README defines, for every architecture.
#include <gmock/gmock.h>

#include <filesystem>

#include "compare.h"
#include "model/checkpoint.h"
#include "model/cut_heads.h"
#include "model/generate.h"
#include "model/run.h"
#include "public_models.h"

namespace headlight::model::testing {
namespace {

namespace fs = std::filesystem;
using headlight::testing::arrays;
using headlight::testing::public_models;
using headlight::testing::short_name;

class Fixture : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const fs::path folder = fs::path(HEADLIGHT_SHARED_DATA) / "models" / GetParam();
    if (!fs::exists(folder)) GTEST_SKIP() << "no shared data at " << folder;
    model_ = load(folder);
    given_ = arrays(folder / "inputs.npz");
    expected_ = arrays(folder / "expected.npz");
    base_ = model_;
    if (given_.contains("readout_weight"))
      model_ = with_readout(model_, given_["readout_weight"], given_["readout_bias"]);
    inputs_.pixels = given("pixel_values");
    inputs_.token_types = given("token_type_ids");
    if (both()) {
      inputs_.source = given("input_ids");
      inputs_.source_mask = given("attention_mask");
      inputs_.tokens = given("decoder_input_ids");
      inputs_.mask = given("decoder_attention_mask");
    } else {
      inputs_.tokens = given("input_ids");
      inputs_.mask = given("attention_mask");
    }
  }

  at::Tensor given(const std::string& name) const {
    const auto found = given_.find(name);
    return found == given_.end() ? at::Tensor() : found->second;
  }
  bool both() const { return given_.contains("decoder_input_ids"); }
  std::vector<std::string> stacks() const {
    return both() ? std::vector<std::string>{"encoder", "decoder", "cross"}
                  : std::vector<std::string>{"self"};
  }
  at::Tensor labels() const { return own_labels(model_.config, given("labels")); }

  // 1 at the places of a stack's queries that are no padding, [B, N].
  at::Tensor valid(const std::string& stack) const {
    const at::Tensor mask =
        stack == "encoder" || !both() ? given("attention_mask") : given("decoder_attention_mask");
    return mask.defined() ? mask : at::ones({given("labels").size(0), 1}, at::kLong);
  }

  // At valid places, relative to the largest entry. `axis` is the one of places.
  void same(const at::Tensor& ours, const at::Tensor& theirs, const at::Tensor& places,
            int64_t axis) const {
    ASSERT_EQ(ours.sizes(), theirs.sizes());
    at::Tensor difference = (ours.detach() - theirs).abs();
    if (places.defined()) {
      std::vector<int64_t> shape(static_cast<size_t>(theirs.dim()), 1);
      shape[0] = places.size(0);
      shape[static_cast<size_t>(axis)] = places.size(1);
      difference = difference.masked_fill(places.view(shape).eq(0), 0);
    }
    EXPECT_LE(difference.max().item<double>(), 1e-5 * theirs.abs().max().item<double>());
  }

  // All heads at 1, as leaves.
  Gates open_gates() const {
    Gates gates;
    for (const std::string& stack : stacks())
      for (int64_t l = 0; l < expected_.at("gate_gradient." + stack).size(0); ++l)
        gates.factors[stack].push_back(
            at::ones({expected_.at("gate_gradient." + stack).size(1)}).set_requires_grad(true));
    return gates;
  }

  Transformer model_;
  Transformer base_;  // without a read-out
  Inputs inputs_;
  std::map<std::string, at::Tensor> given_, expected_;
};

TEST_P(Fixture, HiddenStatesAttentionsLogitsAndLossAreTheExpectedOnes) {
  Ask ask;
  ask.attentions = true;
  ask.labels = given("labels");
  const auto ours = run(model_, inputs_, ask);
  int compared = 0;
  for (const auto& [name, theirs] : expected_) {
    SCOPED_TRACE(name);
    if (name.find("hidden_state") != std::string::npos && !name.starts_with("pruned")) {
      const std::string stack = name.starts_with("encoder") ? "encoder" : "decoder";
      same(ours.at(name), theirs, valid(stack), 1);
    } else if (name.find("attentions") != std::string::npos) {
      same(ours.at(name), theirs, valid(name.substr(0, name.find('_'))), 2);
    } else if (name == "logits") {
      same(ours.at(name), theirs, theirs.dim() == 3 ? valid("decoder") : at::Tensor(), 1);
    } else if (name == "loss") {
      same(ours.at(name).view({1}), theirs, {}, 0);
    } else {
      continue;
    }
    ++compared;
  }
  EXPECT_GE(compared, 7);
}

TEST_P(Fixture, APooledTokenIsTheExpectedOne) {
  if (!expected_.contains("pooler_output")) return;
  same(run(base_, inputs_).at("pooler_output"), expected_.at("pooler_output"), {}, 0);
}

TEST_P(Fixture, GateGradientsAreTheExpectedOnes) {
  const Gates gates = open_gates();
  Pass pass;
  pass.gates = &gates;
  loss(model_, inputs_, labels(), pass).backward();
  for (const std::string& stack : stacks()) {
    SCOPED_TRACE(stack);
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& gate : gates.factors.at(stack)) gradients.push_back(gate.grad());
    same(at::stack(gradients), expected_.at("gate_gradient." + stack), {}, 0);
  }
}

TEST_P(Fixture, TheLossWithoutAHeadIsTheExpectedOne) {
  c10::NoGradGuard no_grad;
  for (const std::string& stack : stacks()) {
    const at::Tensor& theirs = expected_.at("ablation_loss." + stack);
    at::Tensor ours = at::empty_like(theirs);
    for (int64_t l = 0; l < theirs.size(0); ++l)
      for (int64_t h = 0; h < theirs.size(1); ++h) {
        Gates gates = open_gates();
        gates.factors[stack][static_cast<size_t>(l)].detach()[h] = 0;
        Pass pass;
        pass.gates = &gates;
        ours[l][h] = loss(model_, inputs_, labels(), pass);
      }
    SCOPED_TRACE(stack);
    same(ours, theirs, {}, 0);
  }
}

TEST_P(Fixture, LogitsAndLossWithoutThePrunedHeadsAreTheExpectedOnes) {
  c10::NoGradGuard no_grad;
  Gates gates = open_gates();
  for (const std::string& stack : stacks()) {
    const at::Tensor& pruned = expected_.at("pruned_heads." + stack);
    for (int64_t i = 0; i < pruned.size(0); ++i)
      gates.factors[stack][static_cast<size_t>(pruned[i][0].item<int64_t>())]
          .detach()[pruned[i][1].item<int64_t>()] = 0;
  }
  Ask ask;
  ask.labels = given("labels");
  ask.gates = &gates;
  const auto ours = run(model_, inputs_, ask);
  same(ours.at("logits"), expected_.at("pruned_logits"),
       expected_.at("pruned_logits").dim() == 3 ? valid("decoder") : at::Tensor(), 1);
  same(ours.at("loss").view({1}), expected_.at("pruned_loss"), {}, 0);
}

TEST_P(Fixture, WithThePrunedHeadsCutOutGivesTheExpectedLogitsAndLoss) {
  c10::NoGradGuard no_grad;
  std::vector<HeadPlace> heads;
  for (const std::string& stack : stacks()) {
    const at::Tensor& pruned = expected_.at("pruned_heads." + stack);
    for (int64_t i = 0; i < pruned.size(0); ++i)
      heads.push_back({stack, pruned[i][0].item<int64_t>(), pruned[i][1].item<int64_t>()});
  }
  const Transformer cut = cut_heads(model_, heads);
  EXPECT_LT(parameter_count(cut.config), parameter_count(model_.config));
  const fs::path folder = fs::temp_directory_path() / ("headlight-" + std::to_string(::getpid()));
  save(cut, folder);
  const Transformer back = load(folder);
  fs::remove_all(folder);
  for (const Transformer& smaller : {cut, back, put_back(cut, model_, heads)}) {
    Ask ask;
    ask.labels = given("labels");
    const auto ours = run(smaller, inputs_, ask);
    same(ours.at("logits"), expected_.at("pruned_logits"),
         expected_.at("pruned_logits").dim() == 3 ? valid("decoder") : at::Tensor(), 1);
    same(ours.at("loss").view({1}), expected_.at("pruned_loss"), {}, 0);
  }
}

TEST_P(Fixture, NormsOfHeadOutputsFromTheCaptureAreTheExpectedOnes) {
  c10::NoGradGuard no_grad;
  Capture capture;
  Pass pass;
  pass.capture = &capture;
  hidden(model_, inputs_, pass);
  for (const Capture::Layer& l : capture.layers) {
    SCOPED_TRACE(l.stack + " " + std::to_string(l.layer));
    const at::Tensor v = l.v.repeat_interleave(l.q.size(1) / l.v.size(1), 1);
    const at::Tensor norms =
        at::matmul(at::matmul(probabilities(l), v), l.w_o).norm(2, -1);  // [B, H, N]
    const at::Tensor weight = valid(l.stack).to(at::kFloat).unsqueeze(1).expand_as(norms);
    same((norms * weight).sum({0, 2}) / weight.sum({0, 2}),
         expected_.at("head_output_norms." + l.stack)[l.layer], {}, 0);
  }
}

TEST_P(Fixture, GreedyTextIsTheExpectedOne) {
  if (!given("prompt").defined()) return;
  Inputs prompt;
  (both() ? prompt.source : prompt.tokens) = given("prompt");
  EXPECT_TRUE(at::equal(generate(model_, prompt, {.tokens = 12}), expected_.at("generated")));
}

TEST_P(Fixture, IsTheSameAfterASaveInOurOwnForm) {
  c10::NoGradGuard no_grad;
  const fs::path folder = fs::temp_directory_path() / ("headlight-" + std::to_string(::getpid()));
  Transformer model = model_;
  save(model, folder);
  const Transformer back = load(folder);
  fs::remove_all(folder);
  EXPECT_EQ(back.config, model.config);
  EXPECT_TRUE(at::equal(logits(back, inputs_), logits(model, inputs_)));
}

INSTANTIATE_TEST_SUITE_P(Models, Fixture, public_models(), short_name);

}  // namespace
}  // namespace headlight::model::testing
