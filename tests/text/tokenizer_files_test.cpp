// Classic files mean the same as the tokenizer.json made of them, and what is not understood is
// refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "../tensorfile/temporary_folder.h"
#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace headlight::text {
namespace {

namespace fs = std::filesystem;
using headlight::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::HasSubstr;

const fs::path kTokenizers = HEADLIGHT_TEST_TOKENIZERS;
constexpr const char* kText = "Die Katze didn't  sit; größer ☃ [MASK] <mask> 123!";

json json_of(const std::string& name) {
  return json::parse(tensorfile::read_text_file(kTokenizers / (name + ".json")));
}

std::string refusal_of(const fs::path& path) {
  try {
    const Tokenizer tokenizer = read_tokenizer(path);
    encode(tokenizer, kText);
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(ErrorKind::bad_input));
    return error.what();
  }
  return "";
}

TEST(ClassicFiles, VocabTxtIsBert) {
  const json whole = json_of("bert");
  std::map<int64_t, std::string> by_id;
  for (const auto& [token, id] : whole["model"]["vocab"].items()) by_id[id.get<int64_t>()] = token;
  std::string lines;
  for (const auto& [id, token] : by_id) lines += token + "\n";
  TemporaryFolder folder;
  const fs::path path = folder.file("vocab.txt", lines).parent_path();
  const Encoding classic = encode_pair(read_tokenizer(path), kText, "größer");
  const Encoding modern = encode_pair(read_tokenizer(kTokenizers / "bert.json"), kText, "größer");
  EXPECT_EQ(classic.ids, modern.ids);
  EXPECT_EQ(classic.offsets, modern.offsets);
  EXPECT_EQ(classic.type_ids, modern.type_ids);
  folder.file("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_NE(encode(read_tokenizer(path), "The").ids, encode(read_tokenizer(path), "the").ids);
}

TEST(ClassicFiles, VocabJsonAndMergesAreRobertaWhereItsTokensAre) {
  const json whole = json_of("roberta");
  std::string merges = "#version: 0.2\n";
  for (const json& merge : whole["model"]["merges"])
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  json vocabulary = whole["model"]["vocab"];
  vocabulary["<mask>"] = whole["added_tokens"].back()["id"];
  TemporaryFolder folder;
  folder.file("vocab.json", vocabulary.dump());
  folder.file("tokenizer_config.json", R"({"add_prefix_space": true, "cls_token": "<s>"})");
  const fs::path path = folder.file("merges.txt", merges).parent_path();
  const Encoding classic = encode_pair(read_tokenizer(path), kText, "größer");
  const Encoding modern =
      encode_pair(read_tokenizer(kTokenizers / "roberta.json"), kText, "größer");
  EXPECT_EQ(classic.ids, modern.ids);
  EXPECT_EQ(classic.offsets, modern.offsets);
}

TEST(ClassicFiles, SentencepieceModelsCutTextAsTheirLibraryDoes) {
  TemporaryFolder folder;
  const std::string text = "the cat sat on the mat\nthe dog sat on the cat\n";
  const std::string_view texts[] = {text};
  const Vocabulary vocabulary = Vocabulary::learn(texts, 290);
  const fs::path file = folder.file("tokenizer.model", "");
  vocabulary.save(file);
  const Tokenizer tokenizer = read_tokenizer(file.parent_path());
  const Encoding encoding = encode(tokenizer, "the cat ☃", {.special_tokens = false});
  EXPECT_EQ(encoding.ids, vocabulary.encode("the cat ☃"));
  EXPECT_EQ(encoding.offsets.back(), (Span{8, 9}));
  EXPECT_EQ(encoding.offsets[encoding.size() - 3], (Span{8, 9}));
  EXPECT_EQ(encode(tokenizer, "the cat").ids.front(), vocabulary.begin());
  EXPECT_EQ(decode(tokenizer, encoding.ids), "the cat ☃");
}

TEST(ClassicFiles, MarianTakesItsIdsFromVocabJson) {
  TemporaryFolder folder;
  const std::string text = "the cat sat on the mat\nthe dog sat on the cat\n";
  const std::string_view texts[] = {text};
  const Vocabulary vocabulary = Vocabulary::learn(texts, 290);
  const fs::path file = folder.file("source.spm", "");
  vocabulary.save(file);
  EXPECT_THAT(refusal_of(file.parent_path()), HasSubstr("vocab.json"));
  folder.file("vocab.json",
              json{{"</s>", 0}, {"<unk>", 1}, {"\u2581", 7}, {"t", 5}, {">>fra<<", 9}}.dump());
  const Tokenizer tokenizer = read_tokenizer(file.parent_path());
  const Encoding encoding = encode(tokenizer, ">>fra<<t q");
  EXPECT_EQ(encoding.ids, (std::vector<int64_t>{9, 5, 7, 1, 0}));
  EXPECT_EQ(decode(tokenizer, encoding.ids), "t");
}

TEST(Refusals, AnUnknownComponentIsNamedWithTheKnownOnes) {
  TemporaryFolder folder;
  const auto refusal = [&](const char* part, const json& value) {
    json whole = json_of("bert");
    whole[part] = value;
    return refusal_of(folder.file("tokenizer.json", whole.dump()));
  };
  for (const char* part : {"normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}) {
    const std::string message = refusal(part, {{"type", "Abacus"}});
    EXPECT_THAT(message, HasSubstr("tokenizer.json"));
    EXPECT_THAT(message, HasSubstr(part));
    EXPECT_THAT(message, HasSubstr("Abacus"));
    EXPECT_THAT(message, HasSubstr("known are"));
  }
  const json nested = {{"type", "Sequence"},
                       {"normalizers", {{{"type", "NFC"}}, {{"type", "Abacus"}}}}};
  EXPECT_THAT(refusal("normalizer", nested), HasSubstr("normalizer.normalizers[1]"));
  const json pattern = {{"type", "Replace"}, {"pattern", {{"Regex", "("}}}, {"content", ""}};
  EXPECT_THAT(refusal("normalizer", pattern), HasSubstr("regular expression"));
}

TEST(Refusals, AFolderWithoutATokenizerSaysWhatItNeeds) {
  TemporaryFolder folder;
  EXPECT_THAT(refusal_of(folder.file("x", "").parent_path()), HasSubstr("tokenizer.json"));
  EXPECT_THAT(refusal_of("nowhere/at/all"), HasSubstr("no such file"));
}

TEST(Refusals, TextThatIsNotUtf8IsNamedByItsPlace) {
  const Tokenizer tokenizer = read_tokenizer(kTokenizers / "bert.json");
  try {
    encode(tokenizer, "ab\xFF");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("byte 2"));
  }
  const int64_t missing = 100'000;
  EXPECT_THROW(decode(tokenizer, std::span(&missing, 1)), Error);
}

// One to four cuts, flips, repetitions and swapped values.
std::string damaged(std::string text, std::mt19937_64& random) {
  for (size_t round = 1 + random() % 4; round > 0 && !text.empty(); --round) {
    const size_t at = random() % text.size();
    const std::string values[] = {"0", "-1", "1e300", "null", "\"x\"", "[]", "{}", "99999999999"};
    switch (random() % 5) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, random() % 9);
        break;
      case 2:
        text.insert(at, text.substr(at, random() % 40));
        break;
      default: {  // a value after a colon or comma becomes another one
        const size_t begin = text.find_first_of(":,", at);
        if (begin == std::string::npos) break;
        const size_t end = std::min(text.find_first_of(",}]", begin + 1), text.size());
        text.replace(begin + 1, end - begin - 1, values[random() % std::size(values)]);
      }
    }
  }
  return text;
}

TEST(Refusals, DamagedFilesAreReadOrRefusedAndNothingElse) {
  TemporaryFolder folder;
  std::mt19937_64 random(20261121);
  int refused = 0, read = 0;
  for (const char* name : {"bert", "falcon", "llama2", "llama3", "roberta", "t5", "unigram"}) {
    const std::string valid =
        tensorfile::read_text_file(kTokenizers / (std::string(name) + ".json"));
    for (int i = 0; i < 150; ++i) {
      std::string text = damaged(valid, random);
      // Half of the damage goes where the components are.
      if (i % 2 == 0) {
        const size_t model = valid.find("\"model\":");
        text = damaged(valid.substr(0, model), random) + valid.substr(model);
      }
      const fs::path file = folder.file("tokenizer.json", text);
      try {
        const Tokenizer tokenizer = read_tokenizer(file);
        ++read;
        const Encoding encoding = encode_pair(tokenizer, kText, "a\u0301");
        decode(tokenizer, encoding.ids);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(read, 50);
}

}  // namespace
}  // namespace headlight::text
