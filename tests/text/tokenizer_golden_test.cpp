// What the library that wrote these files makes of some lines, to the last id and offset: small
// tokenizers of our own, and those trained elsewhere.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "text/tokenizer.h"

namespace headlight::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<json> lines_of(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

Encoding encode_line(const Tokenizer& tokenizer, const json& line, const EncodeOptions& options) {
  const auto text = line["text"].get<std::string>();
  if (!line.contains("pair")) return encode(tokenizer, text, options);
  return encode_pair(tokenizer, text, line["pair"].get<std::string>(), options);
}

void expect_like(const Tokenizer& tokenizer, const json& line) {
  const Encoding encoding = encode_line(tokenizer, line, {});
  EXPECT_EQ(encoding.ids, line["ids"].get<std::vector<int64_t>>()) << line;
  std::vector<std::pair<int64_t, int64_t>> offsets;
  for (const Span& span : encoding.offsets) offsets.emplace_back(span.begin, span.end);
  EXPECT_EQ(json(offsets), line["offsets"]) << line;
  EXPECT_EQ(decode(tokenizer, encoding.ids), line["decoded"].get<std::string>()) << line;
}

class OwnTokenizers : public ::testing::TestWithParam<const char*> {};

TEST_P(OwnTokenizers, GiveWhatTheLibraryGives) {
  const fs::path folder = HEADLIGHT_TEST_TOKENIZERS;
  const std::string name = GetParam();
  const Tokenizer tokenizer = read_tokenizer(folder / (name + ".json"));
  const auto lines = lines_of(folder / (name + ".golden.jsonl"));
  EXPECT_EQ(lines.size(), 22U);
  for (const json& line : lines) {
    expect_like(tokenizer, line);
    const Encoding encoding = encode_line(tokenizer, line, {});
    EXPECT_EQ(encoding.tokens, line["tokens"].get<std::vector<std::string>>()) << line;
    EXPECT_EQ(encoding.type_ids, line["type_ids"].get<std::vector<int64_t>>()) << line;
    EXPECT_EQ(std::vector<int>(encoding.special.begin(), encoding.special.end()),
              line["special"].get<std::vector<int>>())
        << line;
    EXPECT_EQ(encode_line(tokenizer, line, {.special_tokens = false}).ids,
              line["without"].get<std::vector<int64_t>>())
        << line;
  }
}

INSTANTIATE_TEST_SUITE_P(Small, OwnTokenizers,
                         ::testing::Values("bert", "falcon", "gpt1", "llama2", "llama3", "pieces",
                                           "roberta", "t5", "unigram"));

class TrainedElsewhere : public ::testing::TestWithParam<const char*> {};

TEST_P(TrainedElsewhere, EveryLineHasTheSameIdsOffsetsAndDecodedText) {
  const fs::path folder = fs::path(HEADLIGHT_SHARED_DATA) / "tokenizers" / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const Tokenizer tokenizer = read_tokenizer(folder);
  const auto lines = lines_of(folder / "golden.jsonl");
  EXPECT_GE(lines.size(), 300U);
  for (const json& line : lines) expect_like(tokenizer, line);
}

INSTANTIATE_TEST_SUITE_P(Golden, TrainedElsewhere,
                         ::testing::Values("trained-wordpiece", "trained-bytebpe",
                                           "trained-unigram", "trained-llama"));

}  // namespace
}  // namespace headlight::text
