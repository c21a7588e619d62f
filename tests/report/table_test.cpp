#include "report/table.h"

#include <gmock/gmock.h>

#include <sstream>

#include "report/terminal.h"

namespace headlight::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

Table sample() {
  Table table;
  table.columns = {{.title = "task", .right = false},
                   {.title = "heads"},
                   {.title = "hitting", .drop = 1},
                   {.title = "untrained", .drop = 2},
                   {.title = "roles", .right = false, .drop = 1}};
  table.rows = {{"copy(32,64)", "1", "4.50", "4.67", "mixed 5"},
                {"fetch", "16", "∞", "12.1", "previous 10"}};
  return table;
}

TEST(Table, NumbersAreFlushRightAndWordsFlushLeft) {
  EXPECT_EQ(render(sample(), kUnlimitedWidth, false),
            "task         heads  hitting  untrained  roles\n"
            "───────────────────────────────────────────────────\n"
            "copy(32,64)      1     4.50       4.67  mixed 5\n"
            "fetch           16        ∞       12.1  previous 10\n");
}

TEST(Table, ColumnsGoInTheirOrderAndAreNamed) {
  const std::string all = render(sample(), 51, false);
  EXPECT_THAT(all, Not(HasSubstr("not shown")));
  const std::string less = render(sample(), 50, false);
  EXPECT_THAT(lines(less)[0], HasSubstr("hitting"));
  EXPECT_THAT(lines(less)[0], Not(HasSubstr("roles")));
  EXPECT_EQ(lines(less).back(), "not shown at this width: roles");
  const std::string least = render(sample(), 20, false);
  EXPECT_EQ(lines(least)[0], "task         heads");
  EXPECT_THAT(least, HasSubstr("\nnot shown at this\nwidth: hitting,\nuntrained, roles\n"));
}

TEST(Table, LongWordsAreShortenedOnlyWhenNothingIsLeftToDrop) {
  Table table;
  table.columns = {{.title = "name", .right = false}, {.title = "n"}};
  table.rows = {{"a name that is much too long", "7"}};
  const auto shown = lines(render(table, 16, false));
  EXPECT_EQ(shown[2], "a name that …  7");
  for (const auto& line : shown) EXPECT_LE(display_width(line), 16);
}

TEST(Table, WideLettersKeepTheColumnsInLine) {
  Table table;
  table.columns = {{.title = "token", .right = false}, {.title = "n"}};
  table.rows = {{"漢字", "1"}, {"e\u0301", "2"}, {"plain", "3"}};
  for (const auto& line : lines(render(table, kUnlimitedWidth, false)))
    EXPECT_EQ(display_width(line), 8) << line;
}

TEST(Table, ColourAppearsOnlyIfAskedFor) {
  EXPECT_THAT(render(sample(), kUnlimitedWidth, false), Not(HasSubstr("\033")));
  EXPECT_THAT(render(sample(), kUnlimitedWidth, true), HasSubstr("\033["));
}

TEST(Table, ControlCharactersInCellsCannotReachTheTerminal) {
  Table table;
  table.columns = {{.title = "token", .right = false}};
  table.rows = {{"a\033[31mb\nc\r"}, {}};
  const std::string text = render(table, kUnlimitedWidth, false);
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_EQ(lines(text).size(), 4u);
}

TEST(Table, ATableWithoutRowsOrColumnsIsStillText) { EXPECT_EQ(render({}, 80, false), "\n\n"); }

TEST(Terminal, WidthCountsWhatIsSeen) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("漢字"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("🙂"), 2);
  EXPECT_EQ(display_width("− ± ∞ ─"), 7);
  EXPECT_EQ(display_width("\xff\xc3"), 2) << "bytes that are no UTF-8";
}

TEST(Terminal, ClippingNeverCutsALetterInTwo) {
  EXPECT_EQ(clipped("漢字漢字", 5), "漢字…");
  EXPECT_EQ(clipped("漢字漢字", 4), "漢…");
  EXPECT_EQ(clipped("abc", 3), "abc");
  EXPECT_EQ(clipped("abc", 0), "");
}

TEST(Terminal, ProseIsBrokenBetweenWords) {
  EXPECT_EQ(wrapped("one two three", 7), "one two\nthree");
  EXPECT_EQ(wrapped("one two three", 6), "one\ntwo\nthree");
  EXPECT_EQ(wrapped("漢字 漢字", 8), "漢字\n漢字") << "by columns, not by bytes";
  EXPECT_EQ(wrapped("immeasurable", 5), "immeasurable") << "a word that fits nowhere stays whole";
  EXPECT_EQ(wrapped("a b\nc d", 80), "a b\nc d");
  EXPECT_EQ(wrapped("", 80), "");
}

TEST(Terminal, ControlBytesInAMessageAreSpelledOut) {
  EXPECT_EQ(escaped("a\033[31mb\n\t\x7f"), "a\\x1b[31mb\\x0a\\x09\\x7f");
  EXPECT_EQ(escaped("\xff\xc2\x9b"), "\\xff\\xc2\\x9b")
      << "no UTF-8; a control letter of two bytes";
  EXPECT_EQ(escaped("naïve 漢 –"), "naïve 漢 –");
}

TEST(Terminal, ColourNeedsATerminalAndNoRefusal) {
  EXPECT_TRUE(colour_allowed(true, nullptr, "xterm"));
  EXPECT_TRUE(colour_allowed(true, "", "xterm")) << "an empty NO_COLOR does not count";
  EXPECT_FALSE(colour_allowed(true, "1", "xterm"));
  EXPECT_FALSE(colour_allowed(false, nullptr, "xterm"));
  EXPECT_FALSE(colour_allowed(true, nullptr, "dumb"));
  EXPECT_FALSE(colour_allowed(true, nullptr, nullptr));
}

}  // namespace
}  // namespace headlight::report
