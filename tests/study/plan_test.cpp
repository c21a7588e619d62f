// Which runs a study has, and what they have in common.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "headlight/error.h"
#include "study/folder.h"
#include "study/run.h"

namespace headlight::study {
namespace {

using testing::HasSubstr;

Settings unfinished_settings() {
  Settings s;
  s.tasks = {{.name = "copy(8, 4)"}, {.name = "cycle(8,4)"}};
  s.heads = {4, 1, 2, 2};
  s.seeds = 3;
  s.dim = 8;
  return s;
}

Settings two_tasks() { return completed(unfinished_settings()).settings; }

TEST(Plan, ItHasEveryCellOnceForEverySeed) {
  const Settings s = two_tasks();
  const std::vector<RunKey> keys = plan(s);
  EXPECT_EQ(keys.size(), 2u * 3u * 3u);
  std::set<std::string> names;
  for (const RunKey& key : keys) names.insert(run_name(s, key));
  EXPECT_EQ(names.size(), keys.size());
  EXPECT_TRUE(names.contains("copy-8-4_heads-4_seed-0"));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(keys[i].seed, 0u) << "the first seed comes first";
}

TEST(Plan, DefaultsAreFilledInFromTheTask) {
  const Settings s = two_tasks();
  EXPECT_EQ(s.tasks[0].name, "copy(8,4)");
  EXPECT_GT(s.tasks[0].steps, 0);
  EXPECT_GT(s.tasks[0].learning_rate, 0);
  EXPECT_EQ(s.ffn, 16);
  EXPECT_EQ(s.heads, (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(nlohmann::json(completed(s).settings), nlohmann::json(s)) << "completed settings stay";
}

TEST(Plan, EveryHeadCountHasTheSameParametersAndTheSameStart) {
  const Settings s = two_tasks();
  const task::TaskInfo info = make_tasks(s)[0]->info();
  const model::Config one = model_config(s, s.tasks[0], info, 1);
  const model::Config four = model_config(s, s.tasks[0], info, 4);
  EXPECT_EQ(model::parameter_count(one), model::parameter_count(four));
  const auto a = model::parameters(model::initialised(one, 5));
  const auto b = model::parameters(model::initialised(four, 5));
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].tensor.equal(b[i].tensor)) << a[i].name;
}

TEST(Plan, ABudgetIsSpentFromBelow) {
  Settings s;
  s.tasks = {{.name = "copy(32,64)"}};
  s.heads = {1, 4, 16};
  s.budget = 20000;
  const auto [done, tasks] = completed(s);
  s = done;
  const int64_t parameters =
      model::parameter_count(model_config(s, s.tasks[0], tasks[0]->info(), 16));
  EXPECT_LE(parameters, 20000);
  EXPECT_GT(parameters, 19800);
  EXPECT_EQ(s.dim % 16, 0);
}

TEST(Plan, TheUsersTextIsReadOnce) {
  const std::filesystem::path text = std::filesystem::path(testing::TempDir()) / "once.txt";
  std::ofstream(text) << std::string(2000, 'a') + std::string(2000, 'b');
  Settings s;
  s.tasks = {{.name = "text"}};
  s.data.text = {text.string()};
  s.data.length = 16;
  s.heads = {1};
  s.dim = 8;
  s.budget = 10000;
  // With a budget to spend, and with data to prepare: all from the task that was made first.
  Completed study = completed(s);
  std::filesystem::remove(text);
  const std::vector<Material> material = prepare(study.settings, std::move(study.tasks), {});
  EXPECT_GT(material.at(0).test.size, 0);
}

TEST(Folder, TheSameStudyIsTakenUpAndAnotherIsRefused) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "study-folder";
  std::filesystem::remove_all(path);
  Settings s = two_tasks();
  create(path, s, "headlight study --first");
  EXPECT_EQ(nlohmann::json(create(path, s, "headlight study --later").settings), nlohmann::json(s));
  EXPECT_EQ(open(path).command, "headlight study --first") << "what began it, not what went on";
  EXPECT_EQ(nlohmann::json(open(path).settings), nlohmann::json(s));
  s.seeds = 4;
  try {
    create(path, s, "headlight study");
    FAIL() << "took another study for the same";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("seeds is 3 there and 4 here"));
  }
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace headlight::study
