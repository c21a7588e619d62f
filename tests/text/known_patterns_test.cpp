// The hand-written scanners find what the regular expressions find.
#include "text/known_patterns.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "text/tokenizer.h"

namespace headlight::text {
namespace {

const std::string kLater =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string later(const std::string& digits) {
  std::string pattern = kLater;
  return pattern.replace(pattern.find("DIGITS"), 6, digits);
}

std::string random_text(std::mt19937_64& random) {
  const std::string parts[] = {"a",  "B",      "'",       "s",  "S", "\u017F", "t",  "re",
                               "VE", "lL",     "D",       " ",  " ", "  ",     "\n", "\r",
                               "\t", "\u00A0", "1",       "23", "٣", "Ⅷ",      "½",  ".",
                               "!?", "é",      "e\u0301", "中", "👩", "\u3000"};
  std::string text;
  for (size_t count = random() % 14; count > 0; --count) text += parts[random() % std::size(parts)];
  return text;
}

TEST(KnownPatterns, AreScannedAsTheRegularExpressionIs) {
  std::mt19937_64 random(7);
  for (const std::string& pattern :
       {std::string(kGpt2Pattern), later(R"(\p{N}{1,3})"), later(R"(\p{N})")}) {
    const auto known = known_pattern(pattern);
    ASSERT_TRUE(known.has_value());
    const Regex regex(pattern);
    for (int i = 0; i < 3000; ++i) {
      const std::string text = random_text(random);
      ASSERT_EQ(find_all(text, *known), regex.find_all(text)) << pattern << "\n" << text;
    }
  }
  EXPECT_FALSE(known_pattern(R"(\p{L}+)").has_value());
}

TEST(Tokenizers, GiveTheSameFromManyThreads) {
  const Tokenizer tokenizer =
      read_tokenizer(std::filesystem::path(HEADLIGHT_TEST_TOKENIZERS) / "llama3.json");
  std::mt19937_64 random(11);
  std::vector<std::string> texts;
  std::vector<Encoding> alone;
  for (int i = 0; i < 200; ++i) {
    texts.push_back(random_text(random));
    alone.push_back(encode(tokenizer, texts.back()));
  }
  std::vector<int> different(20);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < different.size(); ++t)
      threads.emplace_back([&, t] {
        for (size_t i = 0; i < texts.size(); ++i)
          different[t] += encode(tokenizer, texts[i]).ids != alone[i].ids;
      });
  }
  EXPECT_EQ(different, std::vector<int>(20));
}

}  // namespace
}  // namespace headlight::text
