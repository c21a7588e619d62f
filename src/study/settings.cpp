#include "study/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "headlight/error.h"

namespace headlight::study {

namespace {

constexpr int64_t kMostParameters = 1'000'000'000;
constexpr int64_t kMostSequences = 10'000'000;
// Of a study of what `train` learns: enough to see which head count learns faster.
constexpr int64_t kStepsOfKind = 2000;

void require(bool holds, const std::string& message) {
  if (!holds) throw Error(ErrorKind::usage, message);
}

// The widest model that stays within the budget on every task: first dim, then ffn.
void spend_budget(Settings& settings, const Tasks& tasks) {
  int64_t unit = 1;
  for (const int64_t heads : settings.heads) unit = std::lcm(unit, heads);
  if (settings.position == "rotary") unit *= 2;
  const auto largest = [&](int64_t dim, int64_t ffn) {
    Settings tried = settings;
    tried.dim = dim;
    tried.ffn = ffn;
    int64_t most = 0;
    for (size_t i = 0; i < tasks.size(); ++i)
      most = std::max(most, model::parameter_count(model_config(
                                tried, settings.tasks[i], tasks[i]->info(), settings.heads[0])));
    return most;
  };
  require(
      largest(unit, 2 * unit) <= settings.budget,
      fmt::format("--budget {}: the smallest model that {} heads divide has dim {} and {} "
                  "parameters",
                  settings.budget, fmt::join(settings.heads, ", "), unit, largest(unit, 2 * unit)));
  int64_t dim = unit;
  while (largest(dim + unit, 2 * (dim + unit)) <= settings.budget) dim += unit;
  int64_t ffn = 2 * dim;
  const int64_t per_column = largest(dim, ffn + 1) - largest(dim, ffn);
  ffn += (settings.budget - largest(dim, ffn)) / std::max<int64_t>(1, per_column);
  settings.dim = dim;
  settings.ffn = ffn;
}

std::unique_ptr<task::Task> make_task(const Settings& settings, const TaskPlan& plan) {
  if (plan.name == settings.data.kind) return nullptr;
  if (plan.name == "text")
    return task::make_text_task({settings.data.text.begin(), settings.data.text.end()},
                                settings.data.length, settings.data.vocabulary);
  if (plan.name == "pairs")
    return task::make_pairs_task(settings.data.source, settings.data.target, settings.data.length,
                                 settings.data.vocabulary);
  return task::make_task(plan.name, {.samples = settings.samples, .noise = settings.noise});
}

}  // namespace

std::vector<TaskPlan> default_tasks() {
  return {{.name = "copy(32,64)"},
          {.name = "fetch(16,2,6)"},
          {.name = "fetch(32,16,1)"},
          {.name = "cycle(32,64)"},
          {.name = "recall(32,64,4)"}};
}

bool judged_by_loss(const TaskPlan& plan) {
  return plan.name == "text" ||
         (plan.name != "classify" && std::ranges::count(train::kTextKinds, plan.name) > 0);
}

double margin_of(const Settings& settings, const TaskPlan& plan) {
  constexpr double kMarginInNats = 0.01;
  return judged_by_loss(plan) ? kMarginInNats : settings.margin;
}

Tasks make_tasks(const Settings& settings) {
  Tasks tasks;
  for (const TaskPlan& plan : settings.tasks) tasks.push_back(make_task(settings, plan));
  return tasks;
}

model::Config model_config(const Settings& settings, const TaskPlan& plan,
                           const task::TaskInfo& info, int64_t heads) {
  model::Config config;
  config.kind = info.encoder_decoder ? model::Kind::encoder_decoder : model::Kind::decoder_only;
  config.vocabulary = info.symbols;
  config.source_vocabulary = info.encoder_decoder ? info.source_symbols : 0;
  config.classes = info.classes;
  config.dim = settings.dim;
  config.ffn = settings.ffn;
  config.layers = plan.layers;
  config.heads = heads;
  config.positions = std::max(info.length, info.encoder_decoder ? info.source_length : 0);
  config.dropout = settings.dropout;
  // The words of the settings are those of config.json: one place translates them.
  nlohmann::json json = model::to_json(model::completed(config));
  json["norm"] = settings.norm;
  json["norm_place"] = settings.norm_place;
  json["activation"] = settings.activation;
  json["position"] = settings.position;
  return model::config_from_json(json, "the study's settings");
}

Settings settings_of_kind(const std::string& kind) {
  const train::TextRun run =
      train::defaults_of(nlohmann::json(kind).get<train::TextKind>(), "small");
  Settings s;
  s.data.kind = kind;
  s.data.vocabulary = run.vocabulary;
  s.data.length = run.length;
  s.dim = run.dim;
  s.ffn = run.ffn;
  s.dropout = run.dropout;
  s.training = run.settings;
  s.tasks = {{.name = kind,
              .steps = kStepsOfKind,
              .layers = run.layers,
              .evaluate_every = run.settings.evaluate_every,
              .learning_rate = run.settings.learning_rate}};
  const nlohmann::json model = model::to_json(train::config_of(run, train::kAnyVocabulary));
  model.at("norm").get_to(s.norm);
  model.at("norm_place").get_to(s.norm_place);
  model.at("activation").get_to(s.activation);
  model.at("position").get_to(s.position);
  return s;
}

train::TextRun text_run(const Settings& settings, const TaskPlan& plan, int64_t heads,
                        uint64_t seed, double learning_rate) {
  const DataFiles& data = settings.data;
  train::TextRun run =
      train::defaults_of(nlohmann::json(data.kind).get<train::TextKind>(), "small");
  run.data = {data.files.begin(), data.files.end()};
  run.valid = {data.valid.begin(), data.valid.end()};
  run.vocabulary = data.vocabulary;
  run.length = data.length;
  run.layers = plan.layers;
  run.dim = settings.dim;
  run.heads = heads;
  run.ffn = settings.ffn;
  run.dropout = settings.dropout;
  run.settings = training_settings(settings, plan, seed, learning_rate);
  return run;
}

train::Settings training_settings(const Settings& settings, const TaskPlan& plan, uint64_t seed,
                                  double learning_rate) {
  train::Settings training = settings.training;
  training.steps = plan.steps;
  training.evaluate_every = plan.evaluate_every;
  training.seed = seed;
  training.learning_rate = learning_rate;
  return training;
}

Completed completed(Settings s) {
  require(!s.tasks.empty(), "a study needs at least one task");
  require(!s.heads.empty(), "--heads needs at least one number of heads");
  std::sort(s.heads.begin(), s.heads.end());
  s.heads.erase(std::unique(s.heads.begin(), s.heads.end()), s.heads.end());
  require(s.heads.front() >= 1, "--heads: a model has at least 1 head");
  require(s.seeds >= 1, "--seeds must be at least 1 (5 or more to decide anything)");
  require(s.test_samples >= 1, "--test-samples must be at least 1");
  require(s.analysis_sequences >= 0 && s.analysis_sequences <= s.test_samples,
          "--analysis-sequences must lie between 0 and --test-samples");
  require(s.margin > 0 && s.margin < 1, "--margin must lie between 0 and 1");
  require(s.noise >= 0 && s.noise <= 1, "--noise must lie between 0 and 1");
  require(s.samples >= 0, "--samples must be 0 (fresh data) or more");
  // Beyond these, a model or a batch fits into no machine that this is for.
  require(s.budget >= 0 && s.budget <= kMostParameters,
          fmt::format("--budget must lie between 1 and {} parameters", kMostParameters));
  require(s.training.batch <= kMostSequences && s.test_samples <= kMostSequences,
          fmt::format("--batch and --test-samples must be at most {}", kMostSequences));
  for (const double rate : s.rates)
    require(std::isfinite(rate) && rate > 0, "--rates must be positive numbers");

  Tasks tasks = make_tasks(s);
  for (size_t i = 0; i < tasks.size(); ++i) {
    TaskPlan& plan = s.tasks[i];
    if (!tasks[i]) continue;
    const task::TaskInfo& info = tasks[i]->info();
    if (plan.name != "text" && plan.name != "pairs") plan.name = info.name;
    if (plan.steps == 0) plan.steps = info.recommended_steps;
    if (plan.layers == 0) plan.layers = info.recommended_layers;
    if (plan.evaluate_every == 0) plan.evaluate_every = info.evaluate_every;
    if (plan.learning_rate == 0) plan.learning_rate = info.recommended_learning_rate;
  }
  for (size_t i = 0; i < s.tasks.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      require(s.tasks[i].name != s.tasks[j].name,
              fmt::format("task {} is named twice", s.tasks[i].name));

  if (s.budget > 0) {
    spend_budget(s, tasks);
    s.budget = 0;  // spent: dim and ffn say it from here on
  }
  if (s.ffn == 0) s.ffn = 2 * s.dim;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const TaskPlan& plan = s.tasks[i];
    for (const int64_t heads : s.heads)
      if (tasks[i])
        model_config(s, plan, tasks[i]->info(), heads);
      else
        train::config_of(text_run(s, plan, heads, 0, plan.learning_rate), train::kAnyVocabulary);
    train::validate(training_settings(s, plan, 0, plan.learning_rate));
  }
  return {std::move(s), std::move(tasks)};
}

}  // namespace headlight::study
