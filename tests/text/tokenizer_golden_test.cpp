// Tokenizers trained elsewhere: every line of their golden files, to the last id and offset.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "text/tokenizer.h"

namespace headlight::text {
namespace {

namespace fs = std::filesystem;

class Golden : public ::testing::TestWithParam<const char*> {};

TEST_P(Golden, EveryLineHasTheSameIdsOffsetsAndDecodedText) {
  const fs::path folder = fs::path(HEADLIGHT_SHARED_DATA) / "tokenizers" / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const Tokenizer tokenizer = read_tokenizer(folder);
  std::ifstream lines(folder / "golden.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto golden = nlohmann::json::parse(line);
    const Encoding encoding = encode(tokenizer, golden["text"].get<std::string>());
    EXPECT_EQ(encoding.ids, golden["ids"].get<std::vector<int64_t>>()) << line;
    ASSERT_EQ(encoding.offsets.size(), golden["offsets"].size()) << line;
    for (size_t i = 0; i < encoding.size(); ++i)
      EXPECT_EQ((std::pair(encoding.offsets[i].begin, encoding.offsets[i].end)),
                (golden["offsets"][i].get<std::pair<int64_t, int64_t>>()))
          << line << " token " << i;
    EXPECT_EQ(decode(tokenizer, encoding.ids), golden["decoded"].get<std::string>()) << line;
  }
  EXPECT_GE(count, 300);
}

INSTANTIATE_TEST_SUITE_P(Trained, Golden,
                         ::testing::Values("trained-wordpiece", "trained-bytebpe",
                                           "trained-unigram", "trained-llama"),
                         [](const auto& info) { return std::string(info.param).substr(8); });

}  // namespace
}  // namespace headlight::text
