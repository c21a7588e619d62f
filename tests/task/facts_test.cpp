#include "task/facts.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "headlight/error.h"
#include "text/learned_pieces.h"

namespace headlight::task {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The words of one small world, each a token.
class Facts : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("headlight-facts-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    const std::vector<std::string> lines(50, "mary is in the hall . john went to where ?");
    std::ofstream(folder_ / "tokenizer.json") << text::tokenizer_json(
        text::learn_pieces(lines, 400), {.lower_case = true, .begin = false, .end = false});
    tokenizer_ = text::read_tokenizer(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Sequence ids(const std::string& text, size_t filled) const {
    const std::vector<int64_t> ids = text::encode(*tokenizer_, text).ids;
    Sequence all(ids.begin(), ids.end());
    all.resize(filled);
    return all;
  }

  std::filesystem::path folder_;
  std::optional<text::Tokenizer> tokenizer_;
};

Question asked() {
  Question one;
  one.question = "Where is Mary ?";
  one.context = "John went . Mary is in the hall .";
  one.facts = {"John went .", "Mary is in the hall ."};
  return one;
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

TEST_F(Facts, OfAStoryEachIsOnePlaceAndTheQuestionIsTheFirst) {
  const int64_t longest = longest_sentence(*tokenizer_, {asked()});
  EXPECT_EQ(longest, text::encode(*tokenizer_, "mary is in the hall .").size());
  const auto width = static_cast<size_t>(longest);
  const Sequence story = story_of(*tokenizer_, asked(), {longest, 3}, false);
  Sequence expected;
  for (const char* sentence : {"where is mary ?", "john went .", "mary is in the hall ."}) {
    const Sequence one = ids(sentence, width);
    expected.insert(expected.end(), one.begin(), one.end());
  }
  EXPECT_EQ(story, expected);
}

TEST_F(Facts, ThatDoNotFitAreRefusedOrTheOldestAreCut) {
  const int64_t longest = longest_sentence(*tokenizer_, {asked()});
  const auto message = [&](const StorySize& size) {
    return message_of([&] { story_of(*tokenizer_, asked(), size, false); });
  };
  EXPECT_THAT(message({longest, 2}),
              HasSubstr("2 facts before the question, but the model reads 1"));
  EXPECT_THAT(message({longest - 1, 3}), HasSubstr("\"Mary is in the hall .\" has"));
  const Sequence cut = story_of(*tokenizer_, asked(), {2, 2}, true);
  const Sequence question = ids("where is", 2), newest = ids("john went", 2);
  EXPECT_THAT(cut, ElementsAre(question[0], question[1], newest[0], newest[1]));
  Question text = asked();
  text.facts.clear();
  EXPECT_THAT(message_of([&] {
                story_of(*tokenizer_, text, {longest, 3}, true);
              }),
              HasSubstr("facts of a story"));
}

ReadTexts counted_stories(int64_t count, int64_t tokens) {
  ReadTexts all;
  for (int64_t i = 0; i < count; ++i) {
    Sequence story;
    for (int64_t place = 0; place < 2 + i % 5; ++place)
      for (int64_t token = 0; token < tokens; ++token)
        story.push_back(static_cast<int32_t>(1 + 100 * i + 10 * place + token));
    all.texts.push_back(story);
    all.classes.push_back(i);
  }
  return all;
}

// A row without its padding and its empty places, and how many of these there were.
std::pair<Sequence, int64_t> told(const Batch& batch, int64_t row) {
  std::pair<Sequence, int64_t> found;
  const int64_t width = batch.sentence_tokens;
  for (int64_t place = 0; place < batch.lengths[static_cast<size_t>(row)]; ++place) {
    const auto from = batch.inputs.begin() + (row * batch.length + place) * width;
    if (*from == 0)
      ++found.second;
    else
      found.first.insert(found.first.end(), from, from + width);
  }
  return found;
}

TEST_F(Facts, StandInTheirOrderWithEmptyPlacesBetweenThemInTrainingAlone) {
  const ReadTexts all = counted_stories(300, 3);
  const auto task = make_facts_task("t", all, counted_stories(20, 3), {3, 8});
  std::map<int64_t, int64_t> seen;
  int64_t empty = 0, facts = 0;
  for (int64_t step = 0; seen.size() < 300; ++step) {
    const Batch batch = task->train_batch(7, step, 64);
    EXPECT_EQ(batch.labels_a_row, 1);
    EXPECT_LE(batch.length, 8);
    for (int64_t row = 0; row < batch.size; ++row) {
      const int64_t number = batch.labels[static_cast<size_t>(row)];
      EXPECT_EQ(++seen[number], 1);
      const auto [story, gaps] = told(batch, row);
      EXPECT_EQ(story, all.texts[static_cast<size_t>(number)]);
      EXPECT_NE(batch.inputs[static_cast<size_t>(row * batch.length * 3)], 0);
      empty += gaps;
      facts += std::ssize(story) / 3 - 1;
    }
  }
  // One in ten places that could be empty is: a ninth of the facts.
  EXPECT_NEAR(double(empty) / double(facts), 1.0 / 9, 0.03);
  const Batch again = task->train_batch(7, 0, 64), once_more = task->train_batch(7, 0, 64);
  EXPECT_EQ(again.inputs, once_more.inputs);
  const Batch held_out = task->test_set(20);
  for (int64_t row = 0; row < held_out.size; ++row) EXPECT_EQ(told(held_out, row).second, 0);
}

TEST_F(Facts, AreAnsweredWithTheLikeliestClassesOfTheModel) {
  model::Config c;
  c.kind = model::Kind::encoder_only;
  c.vocabulary = tokenizer_->id_limit();
  c.classes = 3;
  c.sentence_tokens = longest_sentence(*tokenizer_, {asked()});
  c.output_place = model::OutputPlace::first;
  c.positions = 3;
  const FactModel model{model::initialised(c, 3), *tokenizer_, {"hall", "garden", "office"}};
  EXPECT_TRUE(reads_facts(c));
  Question silent;
  const auto answers = answer_by_facts(model, {asked(), silent, asked()}, {.nbest = 3});
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_TRUE(answers[1].empty());
  double sum = 0;
  for (size_t i = 0; i < 3; ++i) {
    sum += std::exp(answers[0][i].score);
    EXPECT_EQ(answers[0][i].text, answers[2][i].text);
    if (i > 0) {
      EXPECT_GE(answers[0][i - 1].score, answers[0][i].score);
    }
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  Question long_one = asked();
  long_one.facts.insert(long_one.facts.begin(), {"a .", "b ."});
  EXPECT_THAT(message_of([&] { answer_by_facts(model, {long_one}, {}, "test.txt", 5); }),
              HasSubstr("test.txt: question 5: there are 4 facts"));
  EXPECT_EQ(answer_by_facts(model, {long_one}, {.cut = true})[0].size(), 1U);
}

}  // namespace
}  // namespace headlight::task
