// What is held out of stories must not have been learned from.
#include "train/held_out_questions.h"

#include <gmock/gmock.h>

#include <set>
#include <string>

namespace headlight::train {
namespace {

TEST(HeldOutQuestions, OfOneStoryStayOnOneSide) {
  std::vector<task::Question> training;
  for (int story = 0; story < 200; ++story) {
    task::Question question;
    question.question = "Where is Mary?";
    for (int fact = 0; fact < 4; ++fact) {  // the newest first, and a question after each
      const std::string told = "Story " + std::to_string(story) + ", fact " + std::to_string(fact);
      question.facts.insert(question.facts.begin(), told);
      question.context = told + " " + question.context;
      training.push_back(question);
    }
  }
  const auto begun = [](const std::vector<task::Question>& questions) {
    std::multiset<std::string> stories;
    for (const task::Question& one : questions) stories.insert(one.facts.back());
    return stories;
  };
  const auto held_out = begun(hold_out_questions(training));
  const auto learned = begun(training);
  EXPECT_THAT(held_out, ::testing::Not(::testing::IsEmpty()));
  EXPECT_EQ(held_out.size() + learned.size(), 800);
  for (const std::string& story : held_out) {
    EXPECT_EQ(learned.count(story), 0) << story;
    EXPECT_EQ(held_out.count(story), 4) << story;
  }
}

}  // namespace
}  // namespace headlight::train
