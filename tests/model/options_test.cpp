// What only models from elsewhere have, in configs drawn at random: the whole forward and all its
// gradients against the plain Transformer in double, a cache against reading at once, gates
// against heads that are cut out.
#include <gmock/gmock.h>

#include <filesystem>
#include <random>

#include "compare.h"
#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/generate.h"
#include "model/parameters.h"
#include "model/run.h"
#include "plain_transformer.h"

namespace headlight::model::testing {
namespace {

class Drawing {
 public:
  explicit Drawing(unsigned seed) : random_(seed) {}
  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }
  bool coin() { return below(2) == 1; }

  Config config() {
    Config c;
    c.kind = static_cast<Kind>(below(3));
    const bool both = c.kind == Kind::encoder_decoder;
    c.vocabulary = 9 + below(9);
    c.dim = 8 * (1 + below(2));
    c.layers = 1 + below(2);
    c.heads = 4;
    c.kv_heads = coin() ? 4 : 2;
    c.head_dim = 4 + 2 * below(2);
    c.ffn = 5 + below(9);
    c.positions = 12;
    c.norm = static_cast<Norm>(below(2));
    c.parallel = below(4) == 0;
    c.norm_place = c.parallel ? NormPlace::pre : static_cast<NormPlace>(below(3));
    c.norm_epsilon = 1e-5;
    c.final_norm = coin();
    c.activation = static_cast<Activation>(below(10));
    c.position = static_cast<Position>(below(6));
    c.query_key_norm = coin();
    c.qkv_bias = coin();
    c.attention_out_bias = coin();
    c.ffn_bias = coin();
    c.score_softcap = coin() ? 2.5 : 0;
    c.rotary_width = c.position == Position::rotary && coin() ? 2 : 0;
    c.relative_buckets = 8;
    c.relative_distance = 9;
    c.position_offset = c.position == Position::learned && coin() ? 2 : 0;
    if (c.position == Position::learned && below(3) == 0) {
      c.padding_token = 1;
      c.position_offset = 0;
    }
    c.token_types = both ? 0 : below(3);
    c.embedding_scale = coin() ? 2 : 1;
    c.embedding_norm = coin();
    c.shared_tokens = both && coin();
    c.tied = coin();
    c.transform = coin();
    c.transform_norm = coin();
    c.transform_activation = coin() ? Activation::tanh : Activation::gelu;
    c.output_scale = coin() ? 0.5 : 1;
    c.output_softcap = coin() ? 3 : 0;
    if (coin()) {
      const auto layers = [&](int64_t count) {
        std::vector<LayerHeads> all;
        for (int64_t i = 0; i < count; ++i) {
          LayerHeads h;
          h.kv_heads = 1 + below(2);
          h.heads = h.kv_heads * (1 + below(2));
          h.head_dim = 4;
          h.scale = coin() ? 0.7 : 0;
          h.window = coin() ? 3 : 0;
          h.rotary_theta = coin() ? 100 : 10000;
          for (int64_t head = 0; head < h.heads; ++head) h.numbers.push_back((head + 1) % 4);
          all.push_back(h);
        }
        return all;
      };
      if (c.kind != Kind::decoder_only) c.encoder_attention = layers(c.layers);
      if (c.kind != Kind::encoder_only) c.decoder_attention = layers(c.layers);
      if (both) c.cross_attention = layers(c.layers);
    }
    return c;
  }

 private:
  std::mt19937 random_;
};

at::Tensor padded(int64_t rows, int64_t length, int64_t from, int64_t count) {
  at::Tensor mask = at::ones({rows, length}, at::kLong);
  mask[1].narrow(0, from, count).fill_(0);
  return mask;
}

Inputs random_inputs(const Config& c, int64_t batch, int64_t length) {
  Inputs in;
  in.tokens = at::randint(c.vocabulary, {batch, length}, at::kLong);
  if (c.token_types > 0) in.token_types = at::randint(c.token_types, {batch, length}, at::kLong);
  if (c.kind == Kind::encoder_decoder)
    in.source = at::randint(c.vocabulary, {batch, length + 2}, at::kLong);
  return in;
}

Transformer exact(const Config& c, uint64_t seed) {
  return copy_of(initialised(c, seed), at::kDouble, "cpu");
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

    std::vector<at::Tensor> all;
    int64_t count = 0;
    for (const NamedTensor& p : parameters(model)) {
      all.push_back(p.tensor);
      count += p.tensor.numel();
    }
    EXPECT_EQ(count, parameter_count(c));
    const at::Tensor expected = plain_logits(model, in);
    expect_close(logits(model, in), expected, 1e-10);
    const auto of_plain =
        gradients_of(at::cross_entropy_loss(expected.flatten(0, 1), labels.flatten()), all);
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

// The rows of the heads that stay, in a packed projection of `parts` times all heads.
at::Tensor rows_of(const std::vector<int64_t>& kept, int64_t heads, int64_t parts, int64_t d) {
  std::vector<int64_t> rows;
  for (int64_t part = 0; part < parts; ++part)
    for (const int64_t head : kept)
      for (int64_t i = 0; i < d; ++i) rows.push_back((part * heads + head) * d + i);
  return at::tensor(rows, at::kLong);
}

void copy_into(const at::Tensor& to, const at::Tensor& from) { to.detach().copy_(from.detach()); }

TEST(Gates, AtZeroAreHeadsThatAreCutOut) {
  c10::NoGradGuard no_grad;
  at::manual_seed(23);
  Drawing draw(23);
  int tried = 0;
  for (int trial = 0; trial < 60; ++trial) {
    Config c = draw.config();
    if (c.kind == Kind::encoder_decoder) continue;
    c.kv_heads = c.heads;
    c.encoder_attention.clear();
    c.decoder_attention.clear();
    SCOPED_TRACE(::testing::Message() << "trial " << trial);
    const Transformer model = exact(c, static_cast<uint64_t>(trial));
    const bool encodes = c.kind == Kind::encoder_only;
    const Stack& stack = encodes ? model.encoder : model.decoder;

    Config less = model.config;
    Gates gates;
    std::vector<LayerHeads> layers;
    for (size_t l = 0; l < stack.blocks.size(); ++l) {
      LayerHeads h = stack.blocks[l].attention.heads;
      at::Tensor gate = at::zeros({h.heads}, at::kDouble);
      for (int64_t head = 0; head < h.heads; ++head)
        if (draw.coin() && (trial % 5 != 0 || l > 0)) {  // sometimes no head is left
          h.numbers.push_back(head);
          gate[head] = 1;
        }
      h.heads = h.kv_heads = static_cast<int64_t>(h.numbers.size());
      gates.factors["self"].push_back(gate);
      layers.push_back(h);
    }
    (encodes ? less.encoder_attention : less.decoder_attention) = layers;
    const Transformer cut = copy_of(unfilled(less), at::kDouble, "cpu");
    const auto from = parameters(model), to = parameters(cut);
    ASSERT_EQ(from.size(), to.size());
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i].name.find(".attention.qkv") == std::string::npos &&
          from[i].name.find(".attention.out.weight") == std::string::npos)
        copy_into(to[i].tensor, from[i].tensor);
    }
    const Stack& cut_stack = encodes ? cut.encoder : cut.decoder;
    for (size_t l = 0; l < layers.size(); ++l) {
      const SelfAttention &a = stack.blocks[l].attention, &b = cut_stack.blocks[l].attention;
      const auto& kept = layers[l].numbers;
      const at::Tensor rows = rows_of(kept, c.heads, 3, a.heads.head_dim);
      copy_into(b.qkv.weight, a.qkv.weight.index_select(0, rows));
      if (a.qkv.bias.defined()) copy_into(b.qkv.bias, a.qkv.bias.index_select(0, rows));
      copy_into(b.out.weight,
                a.out.weight.index_select(1, rows_of(kept, c.heads, 1, a.heads.head_dim)));
    }
    const Inputs in = random_inputs(c, 2, 6);
    Pass pass;
    pass.gates = &gates;
    expect_close(logits(cut, in), logits(model, in, pass), 1e-11);
    ++tried;
  }
  EXPECT_GT(tried, 20);
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
