#include "model/config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "model/transformer.h"

namespace headlight::model {
namespace {

using ::testing::HasSubstr;

Config published() {
  Config c;
  c.vocabulary = 256;
  c.dim = 64;
  c.layers = 4;
  c.ffn = 128;
  c.positions = 100;
  return c;
}

std::string refusal(const Config& c) {
  try {
    completed(c);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(Config, ThePublishedModelHasTheSameParametersForEveryHeadCount) {
  for (const int64_t heads : {1, 2, 4, 8, 16, 32, 64}) {
    Config c = published();
    c.heads = heads;
    EXPECT_EQ(parameter_count(c), 172'800);
  }
}

TEST(Config, Gpt2SmallHas124439808Parameters) {
  Config c;
  c.vocabulary = 50257;
  c.dim = 768;
  c.layers = 12;
  c.heads = 12;
  c.ffn = 3072;
  c.positions = 1024;
  c.norm = Norm::layer;
  c.final_norm = true;
  c.activation = Activation::gelu_tanh;
  c.tied = true;
  c.output_bias = false;
  EXPECT_EQ(parameter_count(c), 124'439'808);
}

TEST(Config, HeadsThatDoNotDivideTheDimAreRefusedWithThoseThatDo) {
  Config c = published();
  c.heads = 3;
  EXPECT_EQ(refusal(c), "3 heads do not divide dim 64 evenly; heads can be 1, 2, 4, 8, 16, 32, 64");
  c.heads = 8;
  c.kv_heads = 3;
  EXPECT_THAT(refusal(c), HasSubstr("kv_heads can be 1, 2, 4, 8"));
}

TEST(Config, ValuesOutOfRangeAreRefused) {
  const auto broken = [](auto change) {
    Config c = published();
    change(c);
    return refusal(c);
  };
  EXPECT_THAT(broken([](Config& c) { c.vocabulary = 0; }), HasSubstr("vocabulary is 0"));
  EXPECT_THAT(broken([](Config& c) { c.layers = -1; }), HasSubstr("layers is -1"));
  EXPECT_THAT(broken([](Config& c) { c.positions = 0; }), HasSubstr("positions is 0"));
  EXPECT_THAT(broken([](Config& c) { c.dropout = 1; }), HasSubstr("below 1"));
  EXPECT_THAT(broken([](Config& c) { c.attention_dropout = -0.1; }), HasSubstr("below 1"));
  EXPECT_THAT(broken([](Config& c) { c.embedding_dropout = std::nan(""); }), HasSubstr("below 1"));
  EXPECT_THAT(broken([](Config& c) { c.norm_epsilon = -1; }), HasSubstr("norm_epsilon"));
  EXPECT_THAT(broken([](Config& c) { c.source_vocabulary = 5; }), HasSubstr("encoder_decoder"));
  EXPECT_THAT(broken([](Config& c) { c.decoder_layers = 5; }), HasSubstr("encoder_decoder"));
  EXPECT_THAT(broken([](Config& c) { c.dim = int64_t{1} << 40; }), HasSubstr("largest"));
  EXPECT_THAT(broken([](Config& c) { c.dim = c.ffn = c.layers = int64_t{1} << 24; }),
              HasSubstr("10^12"));
  EXPECT_THAT(broken([](Config& c) {
                c.tied = true;
                c.classes = 7;
              }),
              HasSubstr("tied"));
  EXPECT_THAT(broken([](Config& c) {
                c.position = Position::rotary;
                c.heads = 64;
              }),
              HasSubstr("even head_dim"));
  EXPECT_THAT(broken([](Config& c) { c.sentence_tokens = -1; }), HasSubstr("sentence_tokens"));
  EXPECT_THAT(broken([](Config& c) { c.sentence_tokens = 5; }), HasSubstr("encoder_only"));
  EXPECT_THAT(broken([](Config& c) { c.only_first_attends = true; }), HasSubstr("encoder_only"));
  EXPECT_THAT(broken([](Config& c) {
                c.shared_layers = true;
                c.decoder_attention.resize(4);
              }),
              HasSubstr("share their weights"));
}

TEST(Config, JsonKeepsEveryField) {
  Config c = published();
  c.kind = Kind::encoder_decoder;
  c.source_vocabulary = 7;
  c.decoder_layers = 3;
  c.heads = 8;
  c.kv_heads = 2;
  c.norm = Norm::layer;
  c.norm_place = NormPlace::post;
  c.norm_bias = false;
  c.final_norm = true;
  c.activation = Activation::swiglu;
  c.position = Position::rotary;
  c.rotary_theta = 500000;
  c.dropout = 0.1;
  c.attention_dropout = 0.2;
  c.embedding_dropout = 0.3;
  c.linear_bias = false;
  c.output_bias = false;
  c.causal = false;
  const nlohmann::json json = to_json(completed(c));
  EXPECT_EQ(json.at("model_type"), "headlight");
  EXPECT_EQ(json.at("activation"), "swiglu");
  EXPECT_EQ(config_from_json(nlohmann::json::parse(json.dump()), "f"), completed(c));
}

TEST(Config, JsonOfAnotherShapeIsRefusedWithThePlace) {
  const nlohmann::json good = to_json(completed(published()));
  const auto broken = [&](auto change) -> std::string {
    nlohmann::json json = good;
    change(json);
    try {
      config_from_json(json, "here/config.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_input);
      return error.what();
    }
    return "accepted";
  };
  using Json = nlohmann::json;
  EXPECT_THAT(broken([](Json& j) { j.erase("heads"); }), HasSubstr("\"heads\" is missing"));
  EXPECT_THAT(broken([](Json& j) { j["surprise"] = 1; }), HasSubstr("unknown field \"surprise\""));
  EXPECT_THAT(broken([](Json& j) { j["norm"] = "batch"; }), HasSubstr("\"layer\", \"rms\""));
  EXPECT_THAT(broken([](Json& j) { j["dim"] = 64.5; }), HasSubstr("integer"));
  EXPECT_THAT(broken([](Json& j) { j["dim"] = UINT64_MAX; }), HasSubstr("integer"));
  EXPECT_THAT(broken([](Json& j) { j["tied"] = 1; }), HasSubstr("true or false"));
  EXPECT_THAT(broken([](Json& j) { j["dropout"] = "0.1"; }), HasSubstr("a number"));
  EXPECT_THAT(broken([](Json& j) { j["kv_heads"] = 7; }),
              HasSubstr("here/config.json: 7 key-value heads"));
  EXPECT_THAT(broken([](Json& j) { j["model_type"] = "bert"; }), HasSubstr("headlight"));
  EXPECT_THAT(broken([](Json& j) { j = 5; }), HasSubstr("here/config.json"));
}

}  // namespace
}  // namespace headlight::model
