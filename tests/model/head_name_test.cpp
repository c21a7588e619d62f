#include "model/head_name.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "headlight/error.h"

namespace headlight::model {
namespace {

Config two_stacks() {
  Config c;
  c.kind = Kind::encoder_decoder;
  c.vocabulary = 10;
  c.dim = 16;
  c.layers = 2;
  c.decoder_layers = 1;
  c.heads = 4;
  c.positions = 8;
  return completed(c);
}

std::string complaint(const std::string& list) {
  try {
    parse_heads(list, two_stacks());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string written(const std::string& text) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "heads.json";
  std::ofstream(path) << text;
  return "@" + path.string();
}

TEST(HeadNames, EveryHeadOfEveryStackHasOne) {
  const std::vector<HeadPlace> all = all_heads(two_stacks());
  ASSERT_EQ(all.size(), 16u);
  EXPECT_EQ(name_of(all.front()), "encoder.0.0");
  EXPECT_EQ(name_of(all[8]), "decoder.0.0");
  EXPECT_EQ(name_of(all.back()), "cross.0.3");
}

TEST(HeadNames, AListIsSortedAndEachHeadIsThereOnce) {
  const std::vector<HeadPlace> heads =
      parse_heads("encoder.1.2,cross.0.1,encoder.1.2", two_stacks());
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_EQ(name_of(heads[0]), "cross.0.1");
  EXPECT_EQ(name_of(heads[1]), "encoder.1.2");
}

TEST(HeadNames, AFileHoldsNamesOrObjects) {
  const auto heads = parse_heads(
      written(R"(["encoder.0.3", {"stack": "decoder", "layer": 0, "head": 1}])"), two_stacks());
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_EQ(name_of(heads[0]), "decoder.0.1");
  EXPECT_EQ(name_of(heads[1]), "encoder.0.3");
}

TEST(HeadNames, WhatIsNoHeadIsRefusedWithThoseThatAre) {
  for (const char* list : {"", "self", "encoder.0", "encoder.x.1", "encoder.0.1,", "encoder.-1.0",
                           "encoder.0.99999999999999999999"})
    EXPECT_NE(complaint(list), "") << list;
  EXPECT_NE(complaint("self.0.0").find("encoder.0.0 to encoder.1.3"), std::string::npos);
  EXPECT_NE(complaint("encoder.0.4").find("has 4 heads"), std::string::npos);
  EXPECT_NE(complaint("decoder.1.0").find("decoder.0.3"), std::string::npos);
  EXPECT_NE(complaint(written(R"([{"stack": "decoder", "layer": 0}])")).find("entry 0"),
            std::string::npos);
  EXPECT_NE(complaint(written("{}")).find("heads.json"), std::string::npos);
}

}  // namespace
}  // namespace headlight::model
