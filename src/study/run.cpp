#include "study/run.h"

#include <fmt/format.h>

#include <cctype>

#include "headlight/error.h"
#include "lab/head_analysis.h"
#include "model/checkpoint.h"
#include "study/folder.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/json_file.h"
#include "text/vocabulary.h"

namespace headlight::study {
namespace {

// Sequences `first` to `last` of a batch.
task::Batch part(const task::Batch& all, int64_t first, int64_t last) {
  const auto slice = [&](const std::vector<int64_t>& numbers, int64_t width) {
    if (numbers.empty()) return numbers;
    return std::vector<int64_t>(numbers.begin() + first * width, numbers.begin() + last * width);
  };
  task::Batch some = all;
  some.size = last - first;
  some.inputs = slice(all.inputs, all.length);
  some.labels = slice(all.labels, all.labels_a_row > 0 ? all.labels_a_row : all.length);
  some.lengths = slice(all.lengths, 1);
  some.source = slice(all.source, all.source_length);
  some.source_lengths = slice(all.source_lengths, 1);
  if (all.pixels.defined()) some.pixels = all.pixels.slice(0, first, last);
  return some;
}

// The loss and the task's own measure are of the same lines; with several rates the other half
// chooses between them.
void take_held_out(Material& material, bool choose) {
  train::TextMaterial& text = *material.text;
  const task::Batch all = std::move(text.held_out);
  const int64_t measured = choose ? all.size / 2 : all.size;
  if (measured == 0)
    throw Error(ErrorKind::bad_input,
                "--rates needs two lines at least that are held out: one to measure results on, "
                "and one to choose between the rates; give more data, or --valid");
  text.held_out = part(all, 0, measured);
  material.test = text.held_out;
  if (choose) material.validation = part(all, measured, all.size);
  for (auto* side : {&text.judged.sources, &text.judged.targets})
    side->resize(std::min(side->size(), static_cast<size_t>(measured)));
}

void write_result(const RunResult& r, const std::filesystem::path& run_folder) {
  const nlohmann::ordered_json json = {{"parameters", r.parameters},
                                       {"steps", r.steps},
                                       {"seconds", r.seconds},
                                       {"curve", r.curve},
                                       {"test_loss", r.test_loss},
                                       {"test_accuracy", r.test_accuracy},
                                       {"items", r.items},
                                       {"item_losses", r.item_losses},
                                       {"steps_to_target", or_null(r.steps_to_target)},
                                       {"validation_loss", r.validation_loss},
                                       {"layers", r.layers},
                                       {"untrained_layers", r.untrained_layers},
                                       {"maps", r.maps}};
  tensorfile::write_file_atomically(run_folder / "result.json", json.dump() + "\n");
}

}  // namespace

std::vector<RunKey> plan(const Settings& settings) {
  std::vector<RunKey> keys;
  for (int64_t s = 0; s < settings.seeds; ++s)
    for (size_t t = 0; t < settings.tasks.size(); ++t) {
      const std::vector<double> rates =
          settings.rates.empty() ? std::vector{settings.tasks[t].learning_rate} : settings.rates;
      // Widest first: the longest runs must not be left to the end, one core idle.
      for (auto heads = settings.heads.rbegin(); heads != settings.heads.rend(); ++heads)
        for (const double rate : rates)
          keys.push_back({t, *heads, settings.first_seed + uint64_t(s), rate});
    }
  return keys;
}

std::string run_name(const Settings& settings, const RunKey& key) {
  std::string task;
  for (const char c : settings.tasks[key.task].name) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      task += c;
    else if (!task.empty() && task.back() != '-')
      task += '-';
  }
  while (!task.empty() && task.back() == '-') task.pop_back();
  std::string name = fmt::format("{}_heads-{}_seed-{}", task, key.heads, key.seed);
  if (!settings.rates.empty()) name += fmt::format("_rate-{}", key.rate);
  return name;
}

std::vector<Material> prepare(const Settings& settings, Tasks tasks,
                              const std::filesystem::path& folder) {
  std::vector<Material> all;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const TaskPlan& plan = settings.tasks[i];
    Material material{
        .task = std::move(tasks[i]), .test = {}, .validation = {}, .text = {}, .vocabulary = {}};
    if (!material.task) {
      material.vocabulary = folder / kVocabulary;
      material.text = train::prepare_text(
          text_run(settings, plan, settings.heads[0], 0, plan.learning_rate), material.vocabulary);
      material.task = material.text->task;
      take_held_out(material, !settings.rates.empty());
      all.push_back(std::move(material));
      continue;
    }
    const int64_t n = settings.test_samples;
    if (settings.rates.empty()) {
      material.test = material.task->test_set(n);
    } else {
      const task::Batch both = material.task->test_set(2 * n);
      material.test = part(both, 0, both.size / 2);
      material.validation = part(both, both.size / 2, both.size);
    }
    all.push_back(std::move(material));
  }
  return all;
}

std::optional<RunResult> read_result(const std::filesystem::path& run_folder) {
  const std::filesystem::path file = run_folder / "result.json";
  // A run whose model was removed is done again from its last checkpoint.
  for (const char* name : {"result.json", "config.json", "model.safetensors"})
    if (!std::filesystem::exists(run_folder / name)) return std::nullopt;
  RunResult r;
  const auto damaged = [](const std::string& what) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}. Delete that file and go on with --resume: this run is then done "
                            "again from its last checkpoint",
                            what));
  };
  try {
    model::load(run_folder);
    // Ordered, so that a report made from files reads like one made on the spot.
    const nlohmann::ordered_json json = tensorfile::read_ordered_json_file(file);
    json.at("parameters").get_to(r.parameters);
    json.at("steps").get_to(r.steps);
    json.at("seconds").get_to(r.seconds);
    json.at("curve").get_to(r.curve);
    json.at("test_loss").get_to(r.test_loss);
    json.at("test_accuracy").get_to(r.test_accuracy);
    json.at("items").get_to(r.items);
    r.item_losses = json.value("item_losses", std::vector<double>());
    if (!json.at("steps_to_target").is_null())
      r.steps_to_target = json.at("steps_to_target").get<int64_t>();
    json.at("validation_loss").get_to(r.validation_loss);
    r.layers = json.at("layers");
    r.untrained_layers = json.at("untrained_layers");
    r.maps = json.at("maps");
  } catch (const nlohmann::json::exception& problem) {
    damaged(fmt::format("{}: not the result of a run ({})", file.string(),
                        tensorfile::json_problem(problem)));
  } catch (const Error& problem) {
    damaged(problem.what());
  }
  return r;
}

std::optional<RunResult> carry_out(const Settings& settings, const RunKey& key,
                                   const Material& material,
                                   const std::filesystem::path& run_folder,
                                   const train::Observer& observer) {
  const TaskPlan& task_plan = settings.tasks[key.task];
  model::Config config;
  train::Result trained;
  if (material.text) {
    const train::TextRun run = text_run(settings, task_plan, key.heads, key.seed, key.rate);
    config = train::config_of(run, *material.text);
    trained = train::train_text(run, *material.text, run_folder, observer);
  } else {
    config = model_config(settings, task_plan, material.task->info(), key.heads);
    const train::Settings training = training_settings(settings, task_plan, key.seed, key.rate);
    trained = train::train(model::initialised(config, training.seed), *material.task, material.test,
                           training, run_folder, observer);
  }
  if (!trained.finished) return std::nullopt;

  RunResult result;
  result.parameters = model::parameter_count(config);
  result.steps = trained.steps;
  result.seconds = trained.seconds;
  result.curve = trained.curve;
  result.test_loss = trained.test.loss;
  result.test_accuracy = trained.test.accuracy;
  result.items = trained.test.items;
  if (judged_by_loss(task_plan)) result.item_losses = trained.test.item_losses;
  result.steps_to_target = trained.steps_to_target;
  if (const text::Vocabulary* words = material.task->vocabulary(); words && !words->is_bytes())
    words->save(run_folder / "vocabulary.model");
  if (material.text) train::copy_tokenizers(material.vocabulary, run_folder);
  const model::Transformer transformer = model::load(run_folder);
  if (material.validation.size > 0)
    result.validation_loss = train::evaluate(transformer, material.validation).loss;
  result.layers = lab::analyse_heads(transformer, material.test, settings.analysis_sequences);
  result.untrained_layers = lab::analyse_heads(model::initialised(config, key.seed), material.test,
                                               settings.analysis_sequences);
  if (settings.analysis_sequences > 0)
    result.maps = lab::attention_maps(transformer, *material.task, material.test);
  write_result(result, run_folder);
  return result;
}

}  // namespace headlight::study
