#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "../tensorfile/temporary_folder.h"
#include "task/task.h"

namespace headlight::task {
namespace {

using headlight::testing::error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::string& specification) {
  const std::string message = error_of(ErrorKind::usage, [&] { make_task(specification); });
  EXPECT_THAT(message, HasSubstr("task '"));
  return message;
}

TEST(Specification, EveryTaskIsNamedByItsExampleAndByItsNameAlone) {
  for (const auto& [form, name, meaning] : task_forms()) {
    EXPECT_EQ(make_task(name)->info().name, name);
    EXPECT_EQ(make_task(name.substr(0, name.find('(')))->info().name, name);
  }
  EXPECT_EQ(task_forms().size(), 9u);
}

TEST(Specification, SpacesDoNotMatter) {
  EXPECT_EQ(make_task("fetch(16,2,6)")->info().name, "fetch(16,2,6)");
  EXPECT_EQ(make_task(" fetch ( 16 , 2,  6 ) ")->info().name, "fetch(16,2,6)");
  EXPECT_EQ(make_task("lookback(32, 2, 1 2  4 8 12 16)")->info().name,
            "lookback(32,2,1 2 4 8 12 16)");
  EXPECT_EQ(make_task("lookback(32,2,1,2,4)")->info().name, "lookback(32,2,1 2 4)");
  EXPECT_EQ(make_task("cycle(32, 64, 1)")->info().name, "cycle(32,64)");
  EXPECT_EQ(make_task("cycle(32, 64, 3)")->info().name, "cycle(32,64,3)");
  EXPECT_EQ(make_task("hops(99,4,16)")->info().name, "hops(99,4)");
  EXPECT_EQ(make_task("hops(99,4,2)")->info().name, "hops(99,4,2)");
}

TEST(Specification, ATypoGetsTheNearestName) {
  EXPECT_THAT(refusal("fetsch(16,2,6)"), HasSubstr("did you mean fetch(16,2,6)?"));
  EXPECT_THAT(refusal("Copy(3,4)"), HasSubstr("did you mean copy(32,64)?"));
  EXPECT_THAT(refusal("lookbak"), HasSubstr("did you mean lookback("));
  EXPECT_THAT(refusal(""), HasSubstr("There are copy, cycle"));
}

TEST(Specification, AWrongArgumentIsNamedWithItsRange) {
  EXPECT_THAT(refusal("copy(32)"), AllOf(HasSubstr("V, the number of symbols"),
                                         HasSubstr("is missing"), HasSubstr("copy(32,64)")));
  EXPECT_THAT(refusal("copy(32,1)"), AllOf(HasSubstr("is '1'"), HasSubstr("from 2 to 65536")));
  EXPECT_THAT(refusal("copy(x,2)"), HasSubstr("T, the length, is 'x'"));
  EXPECT_THAT(refusal("copy(3.5,2)"), HasSubstr("is '3.5'"));
  EXPECT_THAT(refusal("copy(99999999999999999999,2)"), HasSubstr("T, the length"));
  EXPECT_THAT(refusal("copy(32,64,5)"), HasSubstr("'5' is one too many"));
  EXPECT_THAT(refusal("copy(32,64"), HasSubstr("must end with one ')'"));
  EXPECT_THAT(refusal("copy(32,64) x"), HasSubstr("must end with one ')'"));
  EXPECT_THAT(refusal("copy()"), HasSubstr("T, the length, is ''"));
  EXPECT_THAT(refusal("cycle(8,4,8)"), HasSubstr("s, the shift, is '8'"));
  EXPECT_THAT(refusal("fetch(16,16,8)"), HasSubstr("16^8 classes"));
  EXPECT_THAT(refusal("lookback(8,2,8)"), HasSubstr("offsets is '8'"));
  EXPECT_THAT(refusal("lookback(8,2,1 1)"), HasSubstr("holds 1 twice"));
  EXPECT_THAT(refusal("lookback(8,2)"), HasSubstr("offsets holds 0 numbers"));
  EXPECT_THAT(refusal("recall(8,64,3)"), HasSubstr("P, the number of pairs, is '3'"));
  EXPECT_THAT(refusal("recall(64,63,4)"), HasSubstr("even number from 10"));
  EXPECT_THAT(refusal("recall(64,8,4)"), HasSubstr("even number from 10"));
  EXPECT_THAT(refusal("hops(99,2)"), HasSubstr("V, the number of letters, is '2'"));
}

TEST(Specification, TooFewDifferentInputsAreRefused) {
  EXPECT_THAT(refusal("copy(7,2)"), AllOf(HasSubstr("only 2^7"), HasSubstr("at least 256")));
  make_task("copy(8,2)");
  EXPECT_THAT(refusal("sort(2,4)"), HasSubstr("only 4^2"));
}

TEST(Specification, OptionsOutOfRangeAreRefused) {
  const auto refused = [](const TaskOptions& options) {
    return error_of(ErrorKind::usage, [&] { make_task("copy(8,4)", options); });
  };
  EXPECT_THAT(refused({.samples = -1}), HasSubstr("-1 training samples"));
  EXPECT_THAT(refused({.noise = 1.5}), HasSubstr("a noise of 1.5"));
  EXPECT_THAT(refused({.noise = std::nan("")}), HasSubstr("a noise of nan"));
}

TEST(Specification, TheRecommendationsAreThoseOfTheStudySettings) {
  struct Row {
    const char* name;
    int64_t steps, every, layers;
    double rate;
  };
  for (const Row& row :
       {Row{"copy(32,64)", 300, 10, 1, 1e-3}, Row{"cycle(32,64)", 400, 10, 1, 1e-3},
        Row{"fetch(16,2,6)", 800, 25, 1, 1e-3}, Row{"fetch(32,16,1)", 500, 25, 1, 1e-3},
        Row{"lookback(32,2,1 2 4 8 12 16)", 800, 25, 1, 1e-3},
        Row{"count(32,2,1 2 4 8 12 16)", 500, 25, 1, 1e-3}, Row{"sort(16,32)", 600, 25, 1, 1e-3},
        Row{"recall(32,64,4)", 500, 25, 2, 3e-3}}) {
    const TaskInfo info = make_task(row.name)->info();
    EXPECT_EQ(info.recommended_steps, row.steps) << row.name;
    EXPECT_EQ(info.evaluate_every, row.every) << row.name;
    EXPECT_EQ(info.recommended_layers, row.layers) << row.name;
    EXPECT_EQ(info.recommended_learning_rate, row.rate) << row.name;
  }
}

TEST(Specification, AnyTextIsATaskOrRefused) {
  std::mt19937_64 random(11);
  const std::string parts[] = {"copy", "hops", "fetch", "count", "sort", "recall", "(",  ")",   ",",
                               " ",    "-",    "1",     "2",     "16",   "64",     "\n", "\xff"};
  const std::vector<TaskForm> forms = task_forms();
  int made = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = random() % 2 ? forms[random() % forms.size()].usual : "";
    for (size_t edits = random() % 6; edits > 0; --edits) {
      text.insert(random() % (text.size() + 1), parts[random() % std::size(parts)]);
      if (random() % 2) text.erase(random() % text.size(), random() % 4);
    }
    try {
      const auto task = make_task(text);
      if (task->info().length < 1000) {
        EXPECT_EQ(task->test_set(1).size, 1);
      }
      ++made;
    } catch (const Error& error) {
      ASSERT_EQ(static_cast<int>(error.kind()), static_cast<int>(ErrorKind::usage)) << text;
    }
  }
  EXPECT_GT(made, 100);
}

// The parameters of the model of the study settings (d 32, FFN 64), as printed there.
TEST(Specification, SizesGiveTheParameterCountsOfTheStudySettings) {
  const auto parameters = [](const std::string& name) {
    const TaskInfo info = make_task(name)->info();
    const int64_t layer = 4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 2 * 32;
    return info.recommended_layers * layer + 32 * (info.symbols + info.length) + 33 * info.classes;
  };
  EXPECT_EQ(parameters("copy(32,64)"), 13664);
  EXPECT_EQ(parameters("cycle(32,64)"), 13664);
  EXPECT_EQ(parameters("fetch(16,2,6)"), 12192);
  EXPECT_EQ(parameters("fetch(32,16,1)"), 12592);
  EXPECT_EQ(parameters("lookback(32,2,1 2 4 8 12 16)"), 11680);
  EXPECT_EQ(parameters("count(32,2,1 2 4 8 12 16)"), 9799);
  EXPECT_EQ(parameters("sort(16,32)"), 11616);
  EXPECT_EQ(parameters("recall(32,64,4)"), 22144);
}

}  // namespace
}  // namespace headlight::task
