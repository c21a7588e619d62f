#include "app/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/study_session.h"
#include "headlight/error.h"
#include "task/task.h"
#include "text/whole_number.h"
#include "train/text_run.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;

struct StudyOptions {
  study::Settings settings;
  std::vector<std::string> tasks;
  std::vector<std::string> pairs;
  std::string kind;
  std::vector<std::string> data, valid;
  int64_t steps = 0, layers = 0, evaluate_every = 0;
  double learning_rate = 0;
  std::string optimizer = "adam", schedule = "constant";
  fs::path out = "headlight-study";
  fs::path resume;
  std::vector<fs::path> merge;
  std::string shard;
};

constexpr const char* kFolderGroup = "Where it goes, and in how many parts";

// "2/4" -> the second of four parts.
void read_shard(const std::string& text, Session& session) {
  const size_t slash = std::min(text.find('/'), text.size());
  const std::optional<int64_t> i = text::whole_number(text.substr(0, slash));
  const std::optional<int64_t> n =
      text::whole_number(text.substr(std::min(slash + 1, text.size())));
  if (!i || !n || *i < 1 || *i > *n)
    throw Error(ErrorKind::usage,
                fmt::format("--shard {}: write i/n with 1 <= i <= n, for example 2/4", text));
  session.shard = *i - 1;
  session.shards = *n;
}

// What `train` does of a kind, but for what was given.
study::Settings settings_of_kind(const CLI::App& verb, const StudyOptions& options) {
  for (const char* other :
       {"--task", "--text", "--pairs", "--samples", "--noise", "--budget", "--test-samples",
        "--norm", "--norm-place", "--activation", "--position"})
    if (verb.count(other) > 0)
      throw Error(ErrorKind::usage, fmt::format("{} does not go with --kind", other));
  if (options.data.empty())
    throw Error(
        ErrorKind::usage,
        fmt::format("--data is missing: the files that train --kind {} learns from", options.kind));
  nlohmann::json settings = study::settings_of_kind(options.kind), given = options.settings;
  given["tasks"] = {study::TaskPlan{.steps = options.steps,
                                    .layers = options.layers,
                                    .evaluate_every = options.evaluate_every,
                                    .learning_rate = options.learning_rate}};
  given["training"]["optimizer"] = options.optimizer;
  given["training"]["schedule"] = options.schedule;
  // Where the settings keep what an option says.
  constexpr std::pair<const char*, const char*> kPlaces[] = {
      {"--heads", "/heads"},
      {"--seeds", "/seeds"},
      {"--margin", "/margin"},
      {"--rates", "/rates"},
      {"--analysis-sequences", "/analysis_sequences"},
      {"--length", "/data/length"},
      {"--vocabulary", "/data/vocabulary"},
      {"--dim", "/dim"},
      {"--ffn", "/ffn"},
      {"--dropout", "/dropout"},
      {"--layers", "/tasks/0/layers"},
      {"--steps", "/tasks/0/steps"},
      {"--evaluate-every", "/tasks/0/evaluate_every"},
      {"--learning-rate", "/tasks/0/learning_rate"},
      {"--batch", "/training/batch"},
      {"--optimizer", "/training/optimizer"},
      {"--schedule", "/training/schedule"},
      {"--warmup", "/training/warmup"},
      {"--weight-decay", "/training/weight_decay"},
      {"--clip-norm", "/training/clip_norm"},
      {"--target-accuracy", "/training/target_accuracy"},
      {"--stop-at-target", "/training/stop_at_target"}};
  for (const auto& [option, place] : kPlaces) {
    if (verb.count(option) == 0) continue;
    const nlohmann::json::json_pointer pointer(place);
    // 0 asks for the kind's own.
    if (std::string_view(place).starts_with("/tasks") && given[pointer] == 0) continue;
    settings[pointer] = given[pointer];
  }
  auto made = settings.get<study::Settings>();
  if (verb.count("--warmup") == 0)
    made.training.warmup =
        std::min(made.training.warmup, std::max<int64_t>(1, made.tasks[0].steps / 4));
  for (const auto& [files, paths] :
       {std::pair{&options.data, &made.data.files}, std::pair{&options.valid, &made.data.valid}})
    for (const std::string& file : *files)
      paths->push_back(fs::absolute(file).lexically_normal().string());
  return made;
}

study::Completed settings_of(const CLI::App& verb, const StudyOptions& options,
                             const Common& common) {
  if (!options.kind.empty()) {
    study::Settings settings = settings_of_kind(verb, options);
    settings.first_seed = common.seed;
    return study::completed(settings);
  }
  if (!options.data.empty() || !options.valid.empty())
    throw Error(ErrorKind::usage, "--data and --valid are files of a --kind; --kind is missing");
  study::Settings settings = options.settings;
  for (const std::string& name : options.tasks) settings.tasks.push_back({.name = name});
  if (!options.pairs.empty()) {
    settings.data.source = options.pairs.at(0);
    settings.data.target = options.pairs.at(1);
  }
  if (settings.tasks.empty() && settings.data.text.empty() && settings.data.source.empty())
    settings.tasks = study::default_tasks();
  if (!settings.data.text.empty()) settings.tasks.push_back({.name = "text"});
  if (!settings.data.source.empty()) settings.tasks.push_back({.name = "pairs"});
  for (study::TaskPlan& plan : settings.tasks) {
    plan.steps = options.steps;
    plan.layers = options.layers;
    plan.evaluate_every = options.evaluate_every;
    plan.learning_rate = options.learning_rate;
  }
  nlohmann::json(options.optimizer).get_to(settings.training.optimizer);
  nlohmann::json(options.schedule).get_to(settings.training.schedule);
  settings.first_seed = common.seed;
  return study::completed(settings);
}

// A study that goes on has its settings already; another value would not be the same study.
void refuse_new_settings(const CLI::App& verb) {
  for (const CLI::Option* option : verb.get_options())
    if (option->count() > 0 && option->get_group() != kFolderGroup &&
        option->get_group() != kEveryVerbGroup)
      throw Error(ErrorKind::usage,
                  fmt::format("{} does not go with --resume and --merge: a study that was begun "
                              "keeps its own settings",
                              option->get_name()));
}

void run_study(const CLI::App& verb, const StudyOptions& options, const Common& common) {
  if (!options.merge.empty() || !options.resume.empty()) refuse_new_settings(verb);
  refuse_other_devices(common);
  Session session{.verb = "headlight study"};
  if (!options.shard.empty()) read_shard(options.shard, session);
  if (!options.merge.empty()) {
    const study::Folder folder = study::merge(options.merge, options.out);
    carry_out_session(folder, study::make_tasks(folder.settings), session, common);
  } else if (!options.resume.empty()) {
    const study::Folder folder = study::open(options.resume);
    carry_out_session(folder, study::make_tasks(folder.settings), session, common);
  } else {
    auto [settings, tasks] = settings_of(verb, options, common);
    const study::Folder folder = study::create(options.out, settings, command_of(verb));
    carry_out_session(folder, std::move(tasks), session, common);
  }
}

std::string tasks_text() {
  std::string text;
  for (const task::TaskForm& form : task::task_forms())
    text += fmt::format("  {:25} {}\n      {}\n", form.form, form.usual, form.meaning);
  return text;
}

}  // namespace

void add_study(CLI::App& program, const Common& common) {
  const auto options = std::make_shared<StudyOptions>();
  study::Settings& s = options->settings;
  CLI::App* verb = program.add_subcommand(
      "study", "How many heads does a task need, at the same number of parameters?");
  verb->footer(
      "Example: one task, three head counts, five seeds\n"
      "  headlight study --task 'fetch(16,2,6)' --heads 1,4,16 --seeds 5 --out fetches\n"
      "In parts, on any machines, and joined:\n"
      "  headlight study --shard 1/2 --out part1\n"
      "  headlight study --shard 2/2 --out part2\n"
      "  headlight study --merge part1 part2 --out whole\n"
      "On your own translations:\n"
      "  headlight study --kind translate --data train.en train.de --seeds 3\n"
      "Without --task, --text, --pairs or --kind: five tasks, 125 runs, a few minutes\n"
      "on two cores.\n\n"
      "Tasks; a name alone, like fetch, means the size on the right:\n" +
      tasks_text() +
      "\n"
      "Writes report.html, report.json, curves.csv and a checkpoint of every run.\n"
      "Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 no memory or disk,\n"
      "130 stopped by Ctrl-C.");

  auto* what = "What to learn";
  verb->add_option("--task", options->tasks,
                   "Tasks, for example 'fetch(16,2,6)'; default: five that show when heads matter")
      ->type_name("TASK")
      ->group(what);
  verb->add_option("--text", s.data.text, "Text files to learn as a language model")
      ->type_name("FILE")
      ->group(what);
  verb->add_option("--pairs", options->pairs, "Two files, line by line parallel: source and target")
      ->type_name("FILE")
      ->expected(2)
      ->group(what);
  verb->add_option("--kind", options->kind,
                   "What headlight train learns, with its small size and settings for what is not "
                   "given: translate, summarize, answer, caption, lm, classify or mlm")
      ->check(CLI::IsMember(train::kTextKinds))
      ->type_name("NAME")
      ->group(what);
  verb->add_option("--data", options->data, "Files of that kind to learn from")
      ->type_name("FILE")
      ->group(what);
  verb->add_option("--valid", options->valid,
                   "And to measure results on; without it a part is held out")
      ->type_name("FILE")
      ->group(what);
  verb->add_option("--length", s.data.length, "Tokens in a window of text, or at most in a line")
      ->capture_default_str()
      ->group(what);
  verb->add_option("--vocabulary", s.data.vocabulary,
                   "Pieces to learn from the text, for --text and --pairs byte pairs; 0: bytes")
      ->capture_default_str()
      ->group(what);
  verb->add_option("--samples", s.samples,
                   "Size of a fixed training set; 0: fresh data at every step")
      ->capture_default_str()
      ->group(what);
  verb->add_option("--test-samples", s.test_samples, "Held-out sequences")
      ->capture_default_str()
      ->group(what);
  verb->add_option("--noise", s.noise, "Share of test inputs replaced by random symbols")
      ->capture_default_str()
      ->group(what);

  auto* compared = "What to compare";
  verb->add_option("--heads", s.heads, "Head counts")
      ->delimiter(',')
      ->capture_default_str()
      ->group(compared);
  verb->add_option("--seeds", s.seeds, "How many runs of every head count")
      ->capture_default_str()
      ->group(compared);
  verb->add_option("--margin", s.margin,
                   "Difference in accuracy that matters; of --text and --kind, 0.01 nats do")
      ->capture_default_str()
      ->group(compared);
  verb->add_option("--target-accuracy", s.training.target_accuracy, "For steps to target")
      ->capture_default_str()
      ->group(compared);
  verb->add_option("--analysis-sequences", s.analysis_sequences,
                   "Held-out sequences on which heads are analysed")
      ->capture_default_str()
      ->group(compared);

  auto* model = "The model, the same size for every head count";
  verb->add_option("--dim", s.dim, "Width")->capture_default_str()->group(model);
  verb->add_option("--layers", options->layers, "Layers; 0: the task's own")
      ->capture_default_str()
      ->group(model);
  verb->add_option("--ffn", s.ffn, "Width of the feed-forward part; 0: twice the width")
      ->capture_default_str()
      ->group(model);
  verb->add_option("--budget", s.budget, "Parameters: chooses dim and ffn to come close from below")
      ->group(model);
  verb->add_option("--dropout", s.dropout, "Dropout")->capture_default_str()->group(model);
  verb->add_option("--norm", s.norm, "rms or layer")
      ->check(CLI::IsMember({"rms", "layer"}))
      ->capture_default_str()
      ->group(model);
  verb->add_option("--norm-place", s.norm_place, "pre or post")
      ->check(CLI::IsMember({"pre", "post"}))
      ->capture_default_str()
      ->group(model);
  verb->add_option("--activation", s.activation, "relu, gelu, gelu_tanh, silu or swiglu")
      ->check(CLI::IsMember({"relu", "gelu", "gelu_tanh", "silu", "swiglu"}))
      ->capture_default_str()
      ->group(model);
  verb->add_option("--position", s.position, "learned, sinusoidal, rotary or none")
      ->check(CLI::IsMember({"learned", "sinusoidal", "rotary", "none"}))
      ->capture_default_str()
      ->group(model);

  auto* training = "Training";
  verb->add_option("--steps", options->steps, "Steps; 0: the task's own")
      ->capture_default_str()
      ->group(training);
  verb->add_option("--batch", s.training.batch, "Sequences a step; of --kind: tokens")
      ->capture_default_str()
      ->group(training);
  auto* rate = verb->add_option("--learning-rate", options->learning_rate,
                                "One for every head count, instead of --rates; 0: the task's own")
                   ->capture_default_str()
                   ->group(training);
  verb->add_option("--rates", s.rates,
                   "Learning rates; each head count takes its best one by validation. Or "
                   "--learning-rate")
      ->delimiter(',')
      ->excludes(rate)
      ->group(training);
  verb->add_option("--optimizer", options->optimizer, "adam or adamw")
      ->check(CLI::IsMember({"adam", "adamw"}))
      ->capture_default_str()
      ->group(training);
  verb->add_option("--schedule", options->schedule, "constant, cosine or inverse_sqrt")
      ->check(CLI::IsMember({"constant", "cosine", "inverse_sqrt"}))
      ->capture_default_str()
      ->group(training);
  verb->add_option("--warmup", s.training.warmup, "Steps of linear warm-up")
      ->capture_default_str()
      ->group(training);
  verb->add_option("--weight-decay", s.training.weight_decay, "Of adamw")
      ->capture_default_str()
      ->group(training);
  verb->add_option("--clip-norm", s.training.clip_norm, "Largest norm of the gradient; 0: none")
      ->capture_default_str()
      ->group(training);
  verb->add_option("--evaluate-every", options->evaluate_every,
                   "Steps between points of the curve; 0: the task's own")
      ->capture_default_str()
      ->group(training);
  verb->add_flag("--stop-at-target", s.training.stop_at_target, "End a run at the target accuracy")
      ->group(training);

  auto* folder = kFolderGroup;
  auto* out =
      verb->add_option("--out", options->out, "Folder of the study; one that was begun goes on")
          ->type_name("FOLDER")
          ->capture_default_str()
          ->group(folder);
  auto* resume = verb->add_option("--resume", options->resume,
                                  "Go on with the study in this folder; its settings stay")
                     ->type_name("FOLDER")
                     ->group(folder);
  auto* shard = verb->add_option("--shard", options->shard, "Do part i of n, for example 2/4")
                    ->type_name("I/N")
                    ->group(folder);
  auto* merge = verb->add_option("--merge", options->merge,
                                 "Join the folders of all parts into --out; settings stay")
                    ->type_name("FOLDER")
                    ->group(folder);
  resume->excludes(out)->excludes(merge);
  merge->excludes(shard);
  verb->callback([verb, options, &common] { run_study(*verb, *options, common); });
}

}  // namespace headlight::app
