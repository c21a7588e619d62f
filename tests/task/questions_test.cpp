#include "task/questions.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "headlight/error.h"

namespace headlight::task {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::filesystem::path file_of(const std::string& text) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "questions";
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

TEST(Questions, AStoryIsReadFromItsNewestFactAndEndsWhereNumbersBeginAgain) {
  const ParallelText read =
      as_lines(read_questions({file_of("1 Mary went to the hall.\n"
                                       "2 John took the milk.\n"
                                       "3 Where is Mary? \thall\t1\n"
                                       "4 John left.\n"
                                       "5 Who left?\n"
                                       "1 It is dark.\n"
                                       "2 What is it?\tdark,cold\t1\n")}));
  EXPECT_THAT(read.sources,
              ElementsAre("question: Where is Mary? context: John took the milk. Mary went to the "
                          "hall.",
                          "question: Who left? context: John left. John took the milk. Mary went "
                          "to the hall.",
                          "question: What is it? context: It is dark."));
  EXPECT_THAT(read.targets, ElementsAre("hall", "", "dark,cold"));
}

TEST(Questions, OfAStoryHaveItsFactsOneByOne) {
  const auto file =
      file_of("1 Mary left.\n2 Who left?\tMary\t1\n3 John left.\n4 And now?\tJohn\t3\n");
  const std::vector<Question> read = read_questions({file});
  EXPECT_THAT(read.at(0).facts, ElementsAre("Mary left."));
  EXPECT_THAT(read.at(1).facts, ElementsAre("John left.", "Mary left."));
  EXPECT_EQ(read.at(1).context, "John left. Mary left.");
  EXPECT_TRUE(are_stories({file}));
  file_of("What?\tOne two.\ttwo\n");
  EXPECT_FALSE(are_stories({file}));
  EXPECT_TRUE(read_questions({file}).at(0).facts.empty());
}

TEST(Questions, ComeFromTheJsonOfSquadAndFromLinesWithTabs) {
  const ParallelText squad = as_lines(read_questions({file_of(
      R"({"version": "2.0", "data": [{"title": "t", "paragraphs": [{"context": "One\ntwo.",
      "qas": [{"id": "a", "question": "What?", "answers": [{"text": "two", "answer_start": 4},
      {"text": "One", "answer_start": 0}]}, {"id": "b", "question": "Who?", "is_impossible": true,
      "answers": []}]}]}]})")}));
  EXPECT_THAT(squad.sources,
              ElementsAre("question: What? context: One two.", "question: Who? context: One two."));
  EXPECT_THAT(squad.targets, ElementsAre("two", ""));
  const ParallelText lines =
      as_lines(read_questions({file_of("What?\tOne two.\ttwo\n\nWho?\tNobody.\n")}));
  EXPECT_THAT(lines.sources, ElementsAre("question: What? context: One two.", "",
                                         "question: Who? context: Nobody."));
  EXPECT_THAT(lines.targets, ElementsAre("two", "", ""));
}

TEST(Questions, OfAGzipFileAreThoseOfTheFileInIt) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "questions.gz";
  const gzFile to = gzopen(file.c_str(), "wb");
  gzputs(to, "1 A b.\n2 C?\td\t1\n");
  gzclose(to);
  EXPECT_EQ(read_questions({file}).at(0).answer, "d");
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 4);
  EXPECT_THROW(read_questions({file}), Error);
}

TEST(Questions, ThatMakeNoSenseAreRefusedWithTheirLine) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      read_questions({file_of(text)});
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing";
  };
  EXPECT_THAT(message(""), HasSubstr("holds no questions"));
  EXPECT_THAT(message("1 A.\nB?\tc\n"), HasSubstr("line 2 does not begin with its number"));
  EXPECT_THAT(message("1 A.\n3 B.\n2 C?\n"), HasSubstr("line 3 has the number 2 after 3"));
  EXPECT_THAT(message("1 A.\n2\n"), HasSubstr("line 2 says nothing"));
  EXPECT_THAT(message("Where is Mary?\n"), HasSubstr("line 1 is not a question, a tab"));
  EXPECT_THAT(message("{\"data\": [{}]}"), HasSubstr("SQuAD"));
  EXPECT_THAT(message("{\"data\": ["), HasSubstr("SQuAD"));
}

}  // namespace
}  // namespace headlight::task
