#include "model/checkpoint.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compare.h"
#include "headlight/error.h"
#include "model/cut_heads.h"
#include "tensorfile/json_file.h"
#include "tensorfile/safetensors.h"

namespace headlight::model::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Checkpoint : public ::testing::Test {
 protected:
  Checkpoint()
      : folder_(fs::temp_directory_path() /
                ("headlight-" + std::to_string(::getpid()) + "-" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    Config c;
    c.kind = Kind::encoder_decoder;
    c.vocabulary = 9;
    c.dim = 8;
    c.heads = 2;
    c.ffn = 12;
    c.positions = 6;
    c.norm = Norm::layer;
    model_ = initialised(c, 4);
  }
  ~Checkpoint() override { fs::remove_all(folder_); }

  std::string refusal() const {
    try {
      load(folder_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_input);
      return error.what();
    }
    return "accepted";
  }

  // Writes the model's tensors after a change to the list.
  template <typename F>
  void rewrite(F change) const {
    const auto file = tensorfile::read_safetensors(folder_ / "model.safetensors");
    std::vector<tensorfile::NamedArray> arrays;
    for (const auto& [name, array] : file.tensors) arrays.push_back({name, array});
    change(arrays);
    tensorfile::write_safetensors(folder_ / "model.safetensors", arrays);
  }

  void write_config(const std::string& text) const {
    std::ofstream(folder_ / "config.json") << text;
  }

  fs::path folder_;
  Transformer model_;
};

void expect_the_same_bits(const Transformer& one, const Transformer& other) {
  const auto a = parameters(one), b = parameters(other);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_TRUE(at::equal(a[i].tensor, b[i].tensor)) << a[i].name;
    EXPECT_TRUE(b[i].tensor.requires_grad());
  }
}

TEST_F(Checkpoint, ComesBackWithTheSameBits) {
  save(model_, folder_);
  const Transformer back = load(folder_);
  EXPECT_EQ(back.config, model_.config);
  expect_the_same_bits(model_, back);
}

// What train makes.
Config translator() {
  Config c;
  c.kind = Kind::encoder_decoder;
  c.vocabulary = 11;
  c.dim = 8;
  c.layers = 2;
  c.heads = 2;
  c.ffn = 12;
  c.positions = 7;
  c.norm = Norm::layer;
  c.norm_epsilon = 1e-5;
  c.final_norm = true;
  c.position = Position::sinusoidal_halves;
  c.embedding_scale = std::sqrt(8.0);
  c.shared_tokens = c.tied = true;
  c.dropout = c.embedding_dropout = 0.3;
  c.start_token = 3;
  c.end_tokens = {1};
  return completed(c);
}
Config language_model() {
  Config c;
  c.vocabulary = 11;
  c.dim = 8;
  c.layers = 2;
  c.heads = 2;
  c.ffn = 12;
  c.positions = 7;
  c.final_norm = c.tied = c.predicts_next = true;
  c.activation = Activation::swiglu;
  c.position = Position::rotary;
  c.linear_bias = c.output_bias = false;
  c.dropout = c.embedding_dropout = 0.1;
  c.end_tokens = {1};
  return completed(c);
}

TEST_F(Checkpoint, WhatAClassOfTransformersComputesIsWrittenAsItsAndComesBackWithTheSameBits) {
  for (const auto& [config, type] :
       {std::pair{translator(), "pegasus"}, {language_model(), "llama"}}) {
    SCOPED_TRACE(type);
    const Transformer model = initialised(config, 4);
    Inputs in;
    in.tokens = at::tensor({3, 5, 9, 10, 1}, at::kLong).view({1, 5});
    if (config.kind == Kind::encoder_decoder) in.source = in.tokens.flip(1);
    save_for_transformers(model, folder_);
    const nlohmann::json json = tensorfile::read_json_file(folder_ / "config.json");
    EXPECT_EQ(json.at("model_type"), type);
    EXPECT_EQ(json.at("eos_token_id"), 1);
    for (const bool own : {false, true}) {  // a folder in our own form, as older versions wrote it
      if (own) save(model, folder_);
      const Transformer back = load(folder_);
      expect_the_same_bits(model, back);
      EXPECT_TRUE(at::equal(logits(back, in), logits(model, in)));
      EXPECT_EQ(back.config.end_tokens, config.end_tokens);
      EXPECT_EQ(back.config.start_token, config.start_token);
    }
  }
}

TEST_F(Checkpoint, WhatNoClassOfTransformersComputesIsWrittenInOurOwnForm) {
  const auto expect_own = [&](const Transformer& model) {
    save_for_transformers(model, folder_);
    EXPECT_EQ(tensorfile::read_json_file(folder_ / "config.json").at("model_type"), "headlight");
    EXPECT_EQ(load(folder_).config, model.config);
  };
  const std::vector<void (*)(Config&)> pegasus_does_not = {
      [](Config& c) { c.activation = Activation::gelu; },
      [](Config& c) { c.position = Position::learned; },
      [](Config& c) { c.norm_place = NormPlace::both; },
      [](Config& c) { c.norm_epsilon = 2e-5; },
      [](Config& c) { c.embedding_scale = 2; },
      [](Config& c) { c.output_bias = false; },
      [](Config& c) { c.head_dim = 6; }};
  const std::vector<void (*)(Config&)> llama_does_not = {
      [](Config& c) { c.activation = Activation::reglu; },
      [](Config& c) { c.position = Position::none; }, [](Config& c) { c.rotary_width = 2; },
      [](Config& c) { c.final_norm = false; }, [](Config& c) { c.output_softcap = 3; },
      [](Config& c) { c.causal = false; },
      // Heads of one number, which nothing can turn.
      [](Config& c) { c.heads = c.kv_heads = 8, c.head_dim = 1, c.position = Position::learned; }};
  for (const auto& [changes, usual] :
       {std::pair{pegasus_does_not, translator()}, {llama_does_not, language_model()}})
    for (size_t i = 0; i < changes.size(); ++i) {
      SCOPED_TRACE(::testing::Message() << "change " << i);
      Config c = usual;
      changes[i](c);
      expect_own(initialised(c, 4));
    }
  expect_own(cut_heads(initialised(translator(), 4), {{"cross", 1, 0}}));
  expect_own(cut_heads(initialised(language_model(), 4), {{"self", 0, 1}}));
  expect_own(model_);
  Config encoder = model_.config;
  encoder.kind = Kind::encoder_only;
  encoder.source_vocabulary = encoder.decoder_layers = encoder.decoder_ffn = 0;
  expect_own(initialised(encoder, 4));
}

TEST_F(Checkpoint, ACopyIsIndependentAndEqual) {
  const Transformer copy = copy_of(model_);
  EXPECT_TRUE(at::equal(copy.decoder.tokens, model_.decoder.tokens));
  copy.decoder.tokens.detach().zero_();
  EXPECT_FALSE(at::equal(copy.decoder.tokens, model_.decoder.tokens));
}

TEST_F(Checkpoint, OverwritesAnOlderOne) {
  save(initialised(model_.config, 77), folder_);
  save(model_, folder_);
  EXPECT_TRUE(at::equal(load(folder_).output.weight, model_.output.weight));
}

TEST_F(Checkpoint, ListsTensorsThatAreMissingOrOfAnotherShapeOrNotPartOfTheModel) {
  save(model_, folder_);
  rewrite([](std::vector<tensorfile::NamedArray>& arrays) {
    std::erase_if(arrays, [](const auto& a) { return a.name == "decoder.tokens"; });
    for (auto& [name, array] : arrays)
      if (name == "output.bias") array = tensorfile::make_array<float>({3}, {1, 2, 3});
    arrays.push_back({"surprise", tensorfile::make_array<float>({1}, {0})});
  });
  const std::string message = refusal();
  EXPECT_THAT(message, HasSubstr("missing: decoder.tokens"));
  EXPECT_THAT(message, HasSubstr("output.bias is F32 [3] (expected [9]"));
  EXPECT_THAT(message, HasSubstr("not part of the model: surprise"));
}

TEST_F(Checkpoint, RefusesIntegersAsWeights) {
  save(model_, folder_);
  rewrite([](std::vector<tensorfile::NamedArray>& arrays) {
    for (auto& [name, array] : arrays)
      if (name == "output.bias")
        array = tensorfile::make_array<int64_t>({9}, std::vector<int64_t>(9, 1));
  });
  EXPECT_THAT(refusal(), HasSubstr("output.bias is I64"));
}

TEST_F(Checkpoint, AConfigThatClaimsAGiantTakesNoMemory) {
  save(model_, folder_);
  write_config([&] {
    std::ifstream in(folder_ / "config.json");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    text.replace(text.find("\"vocabulary\": 9"), 15, "\"vocabulary\": 16000000");
    return text;
  }());
  EXPECT_THAT(refusal(), HasSubstr("config.json describes"));
}

TEST_F(Checkpoint, WrittenAsTransformersDoesItIsTheSameModelWithTheNamesOfItsClasses) {
  Config c;
  c.kind = Kind::encoder_only;
  c.vocabulary = 9;
  c.classes = 3;
  c.dim = 8;
  c.heads = 2;
  c.ffn = 12;
  c.positions = 6;
  c.norm = Norm::layer;
  c.norm_place = NormPlace::post;
  c.embedding_norm = c.transform = true;
  c.activation = Activation::gelu;
  c.transform_activation = Activation::tanh;
  c.token_types = 2;
  c.output_place = OutputPlace::first;
  const Transformer classifier = initialised(c, 4);
  save_as({{"model_type", "bert"},
           {"architectures", {"BertForSequenceClassification"}},
           {"vocab_size", 9},
           {"hidden_size", 8},
           {"num_hidden_layers", 1},
           {"num_attention_heads", 2},
           {"intermediate_size", 12},
           {"max_position_embeddings", 6},
           {"layer_norm_eps", 1e-6},
           {"num_labels", 3},
           {"id2label", {{"0", "bad"}, {"2", "good"}}}},
          classifier, folder_);
  Inputs inputs;
  inputs.tokens = at::tensor({3, 5, 1, 3, 7, 1}, at::kLong).view({2, 3});
  EXPECT_TRUE(at::equal(logits(load(folder_), inputs), logits(classifier, inputs)));
  EXPECT_THAT(class_names(folder_, 3), ::testing::ElementsAre("bad", "LABEL_1", "good"));
  // In our own form the names may stand there as well.
  save(classifier, folder_);
  EXPECT_EQ(class_names(folder_, 1), std::vector<std::string>{"LABEL_0"});
  nlohmann::json own = to_json(classifier.config);
  own["id2label"] = {{"0", "bad"}};
  write_config(own.dump());
  EXPECT_EQ(load(folder_).config, classifier.config);
  EXPECT_THAT(class_names(folder_, 1), ::testing::ElementsAre("bad"));
}

TEST_F(Checkpoint, RefusesFoldersThatHoldNoModel) {
  EXPECT_THAT(refusal(), HasSubstr("config.json"));
  fs::create_directories(folder_);
  write_config("{");
  EXPECT_THAT(refusal(), HasSubstr("config.json"));
  write_config("{}");
  EXPECT_THAT(refusal(), HasSubstr("\"model_type\" is missing"));
  write_config("{\"model_type\": \"mamba\"}");
  EXPECT_THAT(refusal(), HasSubstr("\"mamba\" cannot be read; these can: headlight, bart, bert,"));
  save(model_, folder_);
  fs::remove(folder_ / "model.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors"));
}

TEST_F(Checkpoint, RefusesATruncatedFile) {
  save(model_, folder_);
  const fs::path file = folder_ / "model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 5);
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors"));
}

}  // namespace
}  // namespace headlight::model::testing
