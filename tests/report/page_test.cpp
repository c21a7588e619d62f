#include "report/page.h"

#include <gmock/gmock.h>
#include <zlib.h>

namespace headlight::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What the page's script reads: base64 of zlib of JSON.
std::string data_of(const std::string& page) {
  const std::string before = "<script type=\"text/plain\" id=\"report\">";
  const size_t start = page.find(before) + before.size();
  const std::string text = page.substr(start, page.find("</script>", start) - start);
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes;
  uint32_t held = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    EXPECT_NE(digits.find(c), std::string::npos) << "text that could mean something to a browser";
    held = held << 6 | uint32_t(digits.find(c));
    if ((bits += 6) >= 8) bytes.push_back(uint8_t(held >> (bits -= 8)));
  }
  std::vector<uint8_t> json(1 << 20);
  uLongf size = json.size();
  EXPECT_EQ(uncompress(json.data(), &size, bytes.data(), bytes.size()), Z_OK);
  return {json.begin(), json.begin() + std::ptrdiff_t(size)};
}

TEST(Page, HoldsTheReportAndTheWholeProgramOfThePage) {
  const nlohmann::ordered_json report = {{"schema", "headlight.study/1"}, {"runs", {1, 2.5}}};
  const std::string page = study_page(report);
  EXPECT_EQ(page.rfind("<!doctype html>", 0), 0u);
  EXPECT_THAT(page, HasSubstr("</html>"));
  EXPECT_GT(page.size(), 100'000u);
  EXPECT_LT(page.size(), 1'000'000u);
  EXPECT_THAT(page, Not(HasSubstr("__HEADLIGHT_REPORT__")));
  EXPECT_EQ(nlohmann::ordered_json::parse(data_of(page)), report);
}

TEST(Page, NoStringCanEndTheScriptThatItStandsIn) {
  const nlohmann::ordered_json report = {
      {"</script><script>alert(1)</script>", "<!-- <script> \u2028 \u2029 & \" \\ é 漢"}};
  EXPECT_EQ(nlohmann::ordered_json::parse(data_of(study_page(report))), report);
}

TEST(Page, AReportOfManyRunsIsSmall) {
  nlohmann::ordered_json report;
  for (int i = 0; i < 100'000; ++i) report["numbers"].push_back(0.001 * (i % 1000));
  EXPECT_GT(report.dump().size(), 500'000u);
  EXPECT_LT(study_page(report).size(), study_page({}).size() + 20'000);
}

TEST(Page, BytesThatAreNoUtf8AreReplaced) {
  const nlohmann::ordered_json report = {{"token", "a\xff"}};
  EXPECT_EQ(nlohmann::ordered_json::parse(data_of(study_page(report)))["token"], "a\uFFFD");
}

TEST(Page, AsksForNothingFromOutside) {
  const std::string page = study_page({});
  for (const char* outside : {"<script src", "<link rel=\"stylesheet\"", "@import", "url(http"})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

}  // namespace
}  // namespace headlight::report
