// Checkpoints of transformers written by the tests: every architecture, element types, shards, and
// what is refused.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compare.h"
#include "headlight/error.h"
#include "model/architecture/architecture.h"
#include "model/checkpoint.h"
#include "model/generate.h"
#include "model/plain.h"
#include "tensorfile/npy.h"
#include "tensorfile/safetensors.h"

namespace headlight::model::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using tensorfile::DType;
using ::testing::HasSubstr;

const std::map<std::string, json>& configs() {
  static const json kLlama = {{"vocab_size", 13},
                              {"hidden_size", 8},
                              {"intermediate_size", 10},
                              {"num_hidden_layers", 2},
                              {"num_attention_heads", 4},
                              {"num_key_value_heads", 2},
                              {"head_dim", 4},
                              {"max_position_embeddings", 20}};
  static const json kBert = {{"vocab_size", 13},         {"hidden_size", 8},
                             {"intermediate_size", 10},  {"num_hidden_layers", 2},
                             {"num_attention_heads", 2}, {"max_position_embeddings", 20}};
  static const json kBart = {{"vocab_size", 13},
                             {"d_model", 8},
                             {"encoder_layers", 1},
                             {"decoder_layers", 2},
                             {"encoder_ffn_dim", 10},
                             {"decoder_ffn_dim", 12},
                             {"encoder_attention_heads", 2},
                             {"decoder_attention_heads", 4},
                             {"max_position_embeddings", 20},
                             {"decoder_start_token_id", 2}};
  const auto with = [](json base, const char* type, const char* architecture) {
    base["model_type"] = type;
    base["architectures"] = {architecture};
    return base;
  };
  static const std::map<std::string, json> all = {
      {"bert", with(kBert, "bert", "BertForMaskedLM")},
      {"roberta", with(kBert, "roberta", "RobertaForMaskedLM")},
      {"distilbert",
       {{"model_type", "distilbert"},
        {"architectures", {"DistilBertForMaskedLM"}},
        {"vocab_size", 13},
        {"dim", 8},
        {"hidden_dim", 10},
        {"n_layers", 2},
        {"n_heads", 2},
        {"max_position_embeddings", 20}}},
      {"gpt2",
       {{"model_type", "gpt2"},
        {"architectures", {"GPT2LMHeadModel"}},
        {"n_layer", 2},
        {"n_head", 2},
        {"n_embd", 8},
        {"n_positions", 20},
        {"vocab_size", 13},
        {"n_inner", nullptr}}},
      {"gpt_neox",
       [&] {
         json neox = with(kBert, "gpt_neox", "GPTNeoXForCausalLM");
         neox["rotary_pct"] = 0.5;
         return neox;
       }()},
      {"llama", with(kLlama, "llama", "LlamaForCausalLM")},
      {"mistral", with(kLlama, "mistral", "MistralForCausalLM")},
      {"qwen2", with(kLlama, "qwen2", "Qwen2ForCausalLM")},
      {"qwen3", with(kLlama, "qwen3", "Qwen3ForCausalLM")},
      {"gemma2", with(kLlama, "gemma2", "Gemma2ForCausalLM")},
      {"gemma3_text", with(kLlama, "gemma3_text", "Gemma3ForCausalLM")},
      {"bart", with(kBart, "bart", "BartForConditionalGeneration")},
      {"marian", with(kBart, "marian", "MarianMTModel")},
      {"pegasus", with(kBart, "pegasus", "PegasusForConditionalGeneration")},
      {"t5",
       {{"model_type", "t5"},
        {"architectures", {"T5ForConditionalGeneration"}},
        {"vocab_size", 13},
        {"d_model", 8},
        {"d_kv", 4},
        {"d_ff", 10},
        {"num_layers", 2},
        {"num_heads", 2},
        {"feed_forward_proj", "gated-gelu"}}},
      {"vit",
       {{"model_type", "vit"},
        {"architectures", {"ViTForImageClassification"}},
        {"hidden_size", 8},
        {"intermediate_size", 10},
        {"num_hidden_layers", 2},
        {"num_attention_heads", 2},
        {"image_size", 8},
        {"patch_size", 4},
        {"num_labels", 3}}}};
  return all;
}

// A model of that config with random weights, and what transformers would write of it.
std::pair<Transformer, std::vector<NamedTensor>> made(const json& config) {
  const auto type = config.at("model_type").get<std::string>();
  const TensorNames none([](const std::string&) { return false; });
  const Architecture* architecture = find_architecture(type);
  const Transformer model =
      initialised(architecture->config(ConfigReader(config, "test"), none), 7);
  return {model, tensors_in(type, model)};
}

class Import : public ::testing::Test {
 protected:
  Import()
      : folder_(fs::temp_directory_path() / ("headlight-import-" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Import() override { fs::remove_all(folder_); }

  void write_config(const json& config) const {
    std::ofstream(folder_ / "config.json") << config.dump();
  }
  void write(const std::vector<NamedTensor>& files, DType type = DType::f32,
             const std::string& name = "model.safetensors") const {
    std::vector<at::Tensor> kept;
    std::vector<tensorfile::NamedArray> arrays;
    for (const NamedTensor& file : files) {
      const auto scalar = type == DType::f16    ? at::kHalf
                          : type == DType::bf16 ? at::kBFloat16
                          : type == DType::f64  ? at::kDouble
                                                : at::kFloat;
      kept.push_back(file.tensor.to(scalar).contiguous());
      arrays.push_back({file.name, tensorfile::view_array(type, kept.back().sizes().vec(),
                                                          kept.back().const_data_ptr())});
    }
    tensorfile::write_safetensors(folder_ / name, arrays);
  }
  std::string refusal() const {
    try {
      load(folder_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_input);
      return error.what();
    }
    return "accepted";
  }

  const fs::path folder_;
};

void expect_same(const Transformer& a, const Transformer& b, double tolerance) {
  const auto left = parameters(a), right = parameters(b);
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    SCOPED_TRACE(left[i].name);
    EXPECT_EQ(left[i].name, right[i].name);
    expect_close(left[i].tensor, right[i].tensor, tolerance);
  }
}

TEST_F(Import, EveryKnownArchitectureReadsWhatItNames) {
  for (const std::string& type : known_architectures()) {
    SCOPED_TRACE(type);
    ASSERT_TRUE(configs().contains(type));
    const auto [model, files] = made(configs().at(type));
    write_config(configs().at(type));
    write(files);
    const Transformer back = load(folder_);
    expect_same(back, model, 1e-6);
    EXPECT_TRUE(parameters(back)[0].tensor.requires_grad());
  }
}

TEST_F(Import, ReadsEveryElementTypeRoundedToFloat32) {
  const auto [model, files] = made(configs().at("llama"));
  write_config(configs().at("llama"));
  for (const auto& [type, tolerance] :
       {std::pair{DType::f64, 0.0}, {DType::f16, 1e-3}, {DType::bf16, 8e-3}}) {
    write(files, type);
    expect_same(load(folder_), model, tolerance);
  }
}

TEST_F(Import, ReadsShardsAndNamesTheOneThatIsGone) {
  const auto [model, files] = made(configs().at("gpt2"));
  write_config(configs().at("gpt2"));
  const std::vector<NamedTensor> half(files.begin(), files.begin() + 5),
      rest(files.begin() + 5, files.end());
  write(half, DType::f32, "model-00001-of-00002.safetensors");
  write(rest, DType::f32, "model-00002-of-00002.safetensors");
  json map;
  for (const NamedTensor& file : half) map[file.name] = "model-00001-of-00002.safetensors";
  for (const NamedTensor& file : rest) map[file.name] = "model-00002-of-00002.safetensors";
  std::ofstream(folder_ / "model.safetensors.index.json") << json{{"weight_map", map}}.dump();
  expect_same(load(folder_), model, 0);
  fs::remove(folder_ / "model-00002-of-00002.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("model-00002-of-00002.safetensors"));
}

TEST_F(Import, ListsEveryTensorThatDoesNotFit) {
  auto [model, files] = made(configs().at("bert"));
  write_config(configs().at("bert"));
  std::vector<NamedTensor> some;
  std::vector<std::string> gone;
  for (const NamedTensor& file : files) {
    if (file.name.find("encoder.layer.1.") != std::string::npos)
      gone.push_back(file.name);
    else
      some.push_back(file);
  }
  ASSERT_EQ(gone.size(), 16u);
  some[0].tensor = at::zeros({2, 2});
  some.push_back({"surprise.one", at::zeros({1})});
  some.push_back({"surprise.two", at::zeros({1})});
  write(some);
  const std::string message = refusal();
  for (const std::string& name : gone) EXPECT_THAT(message, HasSubstr(name));
  EXPECT_THAT(message, HasSubstr(some[0].name + " is F32 [2, 2] (expected [13, 8]"));
  EXPECT_THAT(message, HasSubstr("not part of the model: surprise.one, surprise.two"));
}

TEST_F(Import, NamesTensorsWithNanOrInfinity) {
  auto [model, files] = made(configs().at("bert"));
  write_config(configs().at("bert"));
  files[3].tensor.view(-1)[2] = std::nan("");
  files[6].tensor.view(-1)[0] = -INFINITY;
  files[7].tensor.fill_(3e38f);  // whose sum is infinite, and nothing in it
  write(files);
  const std::string message = refusal();
  EXPECT_THAT(message,
              HasSubstr("holding NaN or infinity: " + files[3].name + ", " + files[6].name));
  EXPECT_THAT(message, ::testing::Not(HasSubstr(files[7].name)));
}

TEST_F(Import, OldNamesBuffersAndOtherHeadsAreNoSurprise) {
  auto [model, files] = made(configs().at("bert"));
  write_config(configs().at("bert"));
  for (NamedTensor& file : files)
    if (const size_t at = file.name.find("LayerNorm.weight"); at != std::string::npos)
      file.name.replace(at, 16, "LayerNorm.gamma");
    else if (const size_t b = file.name.find("LayerNorm.bias"); b != std::string::npos)
      file.name.replace(b, 14, "LayerNorm.beta");
  for (const char* name : {"bert.embeddings.position_ids", "cls.seq_relationship.weight",
                           "bert.pooler.dense.weight", "cls.predictions.decoder.weight"})
    files.push_back({name, at::zeros({2})});
  write(files);
  expect_same(load(folder_), model, 0);
}

TEST_F(Import, ABaseModelHasNoPrefixAndNoLogits) {
  json config = configs().at("bert");
  config["architectures"] = {"BertModel"};
  auto [model, files] = made(configs().at("bert"));
  std::vector<NamedTensor> base;
  for (const NamedTensor& file : files)
    if (file.name.starts_with("bert.")) base.push_back({file.name.substr(5), file.tensor});
  write_config(config);
  write(base);
  const Transformer back = load(folder_);
  Inputs in;
  in.tokens = at::arange(7).view({1, 7});
  EXPECT_TRUE(at::equal(hidden(back, in), hidden(model, in)));
  EXPECT_THROW(logits(back, in), Error);
}

TEST_F(Import, HeadsThatTransformers4HasPrunedAreLeftOut) {
  json config = configs().at("bert");
  config["pruned_heads"] = {{"1", {0}}};
  const auto [model, files] = made(config);
  EXPECT_EQ(model.encoder.blocks[0].attention.heads.heads, 2);
  EXPECT_EQ(model.encoder.blocks[1].attention.heads.heads, 1);
  EXPECT_EQ(model.encoder.blocks[1].attention.heads.numbers, std::vector<int64_t>{1});
  write_config(config);
  write(files);
  expect_same(load(folder_), model, 0);
}

TEST_F(Import, ValuesThatWouldChangeTheNumbersAreRefusedWithKeyAndValue) {
  const std::vector<std::tuple<std::string, std::string, json>> cases = {
      {"bert", "position_embedding_type", "relative_key"},
      {"bert", "hidden_act", "mish"},
      {"bert", "add_cross_attention", true},
      {"bert", "architectures", {"BertForMultipleChoice"}},
      {"bert", "num_attention_heads", 3},
      {"bert", "hidden_size", "8"},
      {"bert", "vocab_size", -4},
      {"roberta", "pad_token_id", 25},
      {"gpt2", "n_head", 3},
      {"gpt2", "tie_word_embeddings", 1},
      {"gpt_neox", "rotary_pct", 2},
      {"llama", "rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}},
      {"llama", "rope_scaling", {{"rope_type", "linear"}}},
      {"llama", "quantization_config", {{"bits", 4}}},
      {"llama", "hidden_act", "tanh"},
      {"qwen2", "num_key_value_heads", 3},
      {"gemma2", "use_bidirectional_attention", true},
      {"gemma2", "layer_types", {"full_attention"}},
      {"gemma3_text", "layer_types", {"full_attention", "chunked_attention"}},
      {"bart", "normalize_before", true},
      {"bart", "decoder_attention_heads", 3},
      {"marian", "activation_function", "gelu_9"},
      {"pegasus", "normalize_before", false},
      {"pegasus", "is_encoder_decoder", false},
      {"t5", "feed_forward_proj", "gated-mish"},
      {"t5", "relative_attention_num_buckets", 2},
      {"vit", "patch_size", {4, 2}},
      {"vit", "image_size", 9}};
  for (const auto& [type, key, value] : cases) {
    SCOPED_TRACE(type + " " + key);
    const auto [model, files] = made(configs().at(type));
    write(files);
    json config = configs().at(type);
    config[key] = value;
    write_config(config);
    EXPECT_THAT(refusal(), HasSubstr("config.json"));
  }
  json config = configs().at("bert");
  config["hidden_act"] = "mish";
  write_config(config);
  EXPECT_THAT(refusal(), HasSubstr("\"hidden_act\" is \"mish\"; supported are"));
}

TEST_F(Import, PickledWeightsAreRefusedWithTheCommandThatConvertsThem) {
  write_config(configs().at("bert"));
  std::ofstream(folder_ / "pytorch_model.bin") << "pickle";
  const std::string message = refusal();
  EXPECT_THAT(message, HasSubstr("pytorch_model.bin"));
  EXPECT_THAT(message, HasSubstr("save_pretrained('" + folder_.string() + "-safetensors')"));
}

// A small model that sorts, of another maker, recorded tensor by tensor.
class SortingGpt : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(folder_)) GTEST_SKIP() << "shared/data/models/gpt-nano-sort is not there";
    model_ = load(folder_);
  }
  at::Tensor read(const std::string& name) const {
    const auto array = tensorfile::read_npy(folder_ / "expected" / (name + ".npy"));
    if (array.dtype == DType::i64)
      return at::tensor(tensorfile::to_vector<int64_t>(array, name)).view(array.shape);
    return at::tensor(tensorfile::to_vector<float>(array, name)).view(array.shape);
  }

  const fs::path folder_ = fs::path(HEADLIGHT_SHARED_DATA) / "models/gpt-nano-sort";
  Transformer model_;
};

TEST_F(SortingGpt, GivesTheRecordedTensorsOfOneForward) {
  c10::NoGradGuard no_grad;
  Inputs in;
  in.tokens = read("idx").to(at::kLong);
  Capture capture;
  Pass pass;
  pass.capture = &capture;
  const at::Tensor last = hidden(model_, in, pass);
  const auto same = [&](const at::Tensor& ours, const std::string& name) {
    SCOPED_TRACE(name);
    const at::Tensor theirs = read(name);
    expect_close(ours.reshape(theirs.sizes()), theirs, 2e-5);
  };
  same(capture.hidden[0], "x");
  for (size_t layer = 0; layer < 3; ++layer)
    same(capture.hidden[layer + 1], "block" + std::to_string(layer));
  same(last, "ln_f");
  same(probabilities(capture.layers[0]), "attSm");
}

TEST_F(SortingGpt, SortsAll729InputsAsRecorded) {
  c10::NoGradGuard no_grad;
  Inputs in;
  in.tokens = read("all729_in").to(at::kLong).view({729, 6});
  expect_close(logits(model_, in).select(1, 5), read("all729_first_step_logits").view({729, 3}),
               1e-4);
  const at::Tensor recorded = read("all729_greedy_out").to(at::kLong).view({729, -1});
  EXPECT_TRUE(
      at::equal(generate(model_, in, {.tokens = 6}), recorded.narrow(1, recorded.size(1) - 6, 6)));
}

}  // namespace
}  // namespace headlight::model::testing
