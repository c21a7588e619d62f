#include "app/train.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/interrupt.h"
#include "headlight/error.h"
#include "model/checkpoint.h"
#include "model/linear.h"
#include "model/next_token.h"
#include "report/number.h"
#include "report/progress.h"
#include "report/table.h"
#include "report/terminal.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/json_file.h"
#include "train/text_training.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct TrainOptions {
  std::string kind = "translate", size = "small", precision = "auto";
  std::vector<std::string> data, valid;
  fs::path from, out, resume;
  bool keep_case = false, skip_bad = false;
  bool facts = false, no_facts = false;  // neither: by the data
  // What replaces a default of the kind and size.
  std::optional<int64_t> vocabulary, length, layers, dim, heads, ffn, image_size, patch, steps,
      batch, warmup, evaluate_every;
  std::optional<double> dropout, learning_rate, label_smoothing, budget_minutes;
};

template <typename T>
void replace(T& value, const std::optional<T>& given) {
  if (given) value = *given;
}

std::vector<fs::path> absolute(const std::vector<std::string>& files) {
  std::vector<fs::path> paths;
  for (const std::string& file : files) paths.push_back(fs::absolute(file).lexically_normal());
  return paths;
}

// The sizes of a checkpoint that is trained on, and what is usual for it.
void go_on_from(const TrainOptions& o, train::TextRun& run) {
  const bool sizes = o.vocabulary || o.layers || o.dim || o.heads || o.ffn || o.keep_case;
  if (sizes || o.size != "small")
    throw Error(ErrorKind::usage,
                "--from: the checkpoint says sizes and vocabulary; leave --size, --layers, --dim, "
                "--heads, --ffn, --vocabulary and --keep-case away");
  if (run.kind == train::TextKind::caption || run.kind == train::TextKind::mlm)
    throw Error(ErrorKind::usage, "--from: --kind caption and mlm begin anew; leave it away");
  run.from = fs::weakly_canonical(fs::absolute(o.from));
  const fs::path out = fs::weakly_canonical(fs::absolute(o.out));
  if (std::ranges::search(out, run.from).begin() == out.begin())
    throw Error(ErrorKind::usage,
                fmt::format("--out {}: lies in the folder of --from; choose a folder of its own",
                            o.out.string()));
  const model::Config config = model::load(run.from).config;
  run.layers = config.layers;
  run.dim = config.dim;
  run.heads = config.heads;
  run.ffn = config.ffn;
  run.vocabulary = config.vocabulary;
  run.dropout = config.dropout;
  run.lower_case = false;
  if (const int64_t longest = model::longest_sequence(config); longest > 0) {
    run.length = std::min(run.length, longest);
    if (o.length.value_or(0) > longest)
      throw Error(ErrorKind::usage, fmt::format("--length {}: this model reads {} tokens at most",
                                                *o.length, longest));
  }
  run.settings.steps = 2000;
  run.settings.warmup = 200;
  run.settings.schedule = train::Schedule::cosine;
  run.settings.learning_rate = 1e-4;
  run.settings.evaluate_every = 200;
}

// Whether answers are learned fact by fact, which only stories have.
bool answers_by_facts(const TrainOptions& o) {
  const bool can = o.kind == "answer" && o.from.empty() && o.size == "small";
  if (o.facts && !can)
    throw Error(ErrorKind::usage,
                "--facts goes with --kind answer, and neither with --from nor with --size base");
  return can && !o.no_facts && (o.facts || task::are_stories({o.data.begin(), o.data.end()}));
}

train::TextRun run_of(const TrainOptions& o, const Common& common,
                      const train::Processes& processes) {
  train::TextRun run = answers_by_facts(o)
                           ? train::defaults_of_facts()
                           : train::defaults_of(Json(o.kind).get<train::TextKind>(), o.size);
  run.data = absolute(o.data);
  run.valid = absolute(o.valid);
  run.lower_case = run.lower_case && !o.keep_case;
  run.threads = thread_count(common);
  // One per core is for all processes of the host together.
  if (common.threads == 0) run.threads = std::max(1, run.threads / processes.on_this_host());
  if (!o.from.empty()) go_on_from(o, run);
  replace(run.vocabulary, o.vocabulary);
  replace(run.length, o.length);
  replace(run.layers, o.layers);
  replace(run.dim, o.dim);
  replace(run.heads, o.heads);
  replace(run.ffn, o.ffn);
  replace(run.dropout, o.dropout);
  const bool pictures = run.kind == train::TextKind::caption;
  if (!pictures && (o.image_size || o.patch || o.skip_bad))
    throw Error(ErrorKind::usage,
                "--image-size, --patch and --skip-bad are about images: they need --kind caption");
  replace(run.image_size, o.image_size);
  replace(run.patch, o.patch);
  run.skip_bad = o.skip_bad;
  if (o.precision == "bfloat16" || (o.precision == "auto" && model::multiplies_bfloat16()))
    run.precision = model::Precision::bfloat16;
  train::Settings& s = run.settings;
  s.seed = common.seed;
  // A budget alone is no reason to stop earlier.
  if (o.budget_minutes) s.steps = 10'000'000;
  replace(s.steps, o.steps);
  replace(s.batch, o.batch);
  replace(s.learning_rate, o.learning_rate);
  replace(s.label_smoothing, o.label_smoothing);
  replace(s.evaluate_every, o.evaluate_every);
  s.warmup = std::min(s.warmup, std::max<int64_t>(1, s.steps / 4));
  replace(s.warmup, o.warmup);
  if (o.budget_minutes) s.budget_seconds = 60 * *o.budget_minutes;
  return run;
}

// run.json; those of older versions lack some of its entries.
nlohmann::json read_run_file(const fs::path& file) {
  nlohmann::json json = tensorfile::read_json_file(file);
  if (!json.contains("run") || !json["run"].is_object()) return json;
  json["run"].emplace("from", "");
  json["run"].emplace("facts", false);
  json["run"].emplace("precision", model::Precision::float32);
  return json;
}

// What run.json says, with the time and steps that are given now.
train::TextRun resumed(const TrainOptions& o) {
  const fs::path file = o.resume / "run.json";
  if (!fs::exists(file))
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: there is no run to go on with (no run.json)", o.resume.string()));
  train::TextRun run;
  try {
    run = read_run_file(file).at("run").get<train::TextRun>();
  } catch (const nlohmann::json::exception& problem) {
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: {}", file.string(), tensorfile::json_problem(problem)));
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", file.string(), error.what()));
  }
  if (o.budget_minutes) run.settings.budget_seconds = 60 * *o.budget_minutes;
  return run;
}

void begin_folder(const fs::path& folder, const train::TextRun& run) {
  const fs::path file = folder / "run.json";
  const nlohmann::json said = {{"schema", "headlight.run/1"}, {"run", run}};
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem)
    throw Error(ErrorKind::bad_input, fmt::format("{}: cannot create this folder: {}",
                                                  folder.string(), problem.message()));
  if (!fs::exists(file)) {
    if (fs::exists(folder / "config.json"))
      throw Error(
          ErrorKind::bad_input,
          fmt::format("{}: holds another model; choose a folder of its own", folder.string()));
    tensorfile::write_file_atomically(file, said.dump(2) + "\n");
    return;
  }
  nlohmann::json there = read_run_file(file), here = said;
  for (nlohmann::json* json : {&there, &here})
    if (json->contains("run") && (*json)["run"].contains("settings"))
      (*json)["run"]["settings"].erase("budget_seconds");
  if (there != here)
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: holds a run with other settings; go on with it by --resume {}, or "
                            "choose another folder",
                            folder.string(), shell_word(folder.string())));
}

// One that was made for this run and got nothing goes again.
void remove_unused(const fs::path& folder, bool is_new) {
  std::error_code ignored;
  for (const char* kept : {"tokenizer.json", "training.safetensors", "config.json"})
    if (!is_new || fs::exists(folder / kept)) return;
  for (const char* file : {"run.json", "preprocessor_config.json"})
    fs::remove(folder / file, ignored);
  fs::remove(folder, ignored);
}

std::string progress_text(const train::TextRun& run, double loss,
                          const std::vector<train::Point>& curve) {
  std::string text = "loss " + report::significant(loss);
  if (curve.empty()) return text;
  text += ", validation " + report::significant(curve.back().test_loss);
  if (curve.back().score >= 0)
    text += fmt::format(", {} {:.1f}", train::score_name(run.kind), curve.back().score);
  return text;
}

train::Result train_with_progress(const train::TextRun& run, const train::TextMaterial& material,
                                  const fs::path& folder, const Common& common,
                                  const train::Processes& processes) {
  watch_for_interrupt();
  if (!processes.first())
    return train::train_text(
        run, material, folder,
        [](int64_t, double, const std::vector<train::Point>&) { return !interrupted(); },
        processes);
  report::ProgressLine line({.quiet = common.quiet});
  const auto start = std::chrono::steady_clock::now();
  int64_t first = -1;
  double recent = 0;
  return train::train_text(
      run, material, folder,
      [&](int64_t step, double loss, const std::vector<train::Point>& curve) {
        if (first < 0) first = step - 1;
        recent = recent == 0 ? loss : recent + 0.02 * (loss - recent);
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const double per_step = seconds / double(step - first);
        double left = per_step * double(run.settings.steps - step);
        if (run.settings.budget_seconds > 0)
          left = std::min(left, std::max(0.0, run.settings.budget_seconds - seconds));
        line.update({.done = double(step),
                     .total = double(step) + left / per_step,
                     .unit = "steps",
                     .text = progress_text(run, recent, curve),
                     .seconds_left = left});
        return !interrupted();
      },
      processes);
}

Json json_of(const train::TextRun& run, const train::TextMaterial& material,
             const train::Result& result, const fs::path& folder) {
  Json json = {{"schema", "headlight.train/1"},
               {"kind", run.kind},
               {"steps", result.steps},
               {"seconds", result.seconds},
               {"milliseconds_per_step", 1000 * result.seconds / double(result.steps)},
               {"train_loss", result.curve.back().train_loss},
               {"valid_loss", result.curve.back().test_loss},
               {"perplexity", std::exp(result.curve.back().test_loss)},
               {"parameters", model::parameter_count(material.config)},
               {"vocabulary", material.config.vocabulary},
               {"pairs", material.pairs},
               {"held_out", material.held_out_pairs},
               {"left_out", {{"empty", material.empty}, {"too_long", material.too_long}}},
               {"checkpoint", folder.string()}};
  if (!material.labels.empty()) json["labels"] = material.labels;
  if (run.kind == train::TextKind::caption) json["left_out"]["bad_images"] = material.bad_images;
  if (result.curve.back().score >= 0) json[train::score_name(run.kind)] = result.curve.back().score;
  json["curve"] = result.curve;
  return json;
}

void print_result(const train::TextRun& run, const train::TextMaterial& material,
                  const train::Result& result, const fs::path& folder) {
  const std::string score = train::score_name(run.kind);
  report::Table table;
  table.columns = {{.title = "step"},
                   {.title = "train loss"},
                   {.title = "validation loss"},
                   {.title = "perplexity", .drop = 1}};
  if (!score.empty()) table.columns.push_back({.title = score});
  // A dozen lines say it.
  const size_t every = result.curve.size() / 12 + 1;
  for (size_t i = 0; i < result.curve.size(); ++i) {
    const train::Point& p = result.curve[i];
    if (i % every != 0 && i + 1 != result.curve.size()) continue;
    table.rows.push_back({report::whole(p.step), report::significant(p.train_loss),
                          report::significant(p.test_loss),
                          report::significant(std::exp(p.test_loss))});
    if (!score.empty()) table.rows.back().push_back(fmt::format("{:.1f}", p.score));
  }
  fmt::print("{}", report::render(table, report::terminal_width(), report::use_colour()));
  const bool lm = run.kind == train::TextKind::lm;
  std::string text =
      fmt::format("{} parameters, {} pieces; {} {} to learn from, {} held out.",
                  report::whole(model::parameter_count(material.config)),
                  report::whole(material.config.vocabulary), report::whole(material.pairs),
                  run.facts                           ? "questions"
                  : lm || train::only_reads(run.kind) ? "lines"
                                                      : "pairs",
                  report::whole(material.held_out_pairs));
  if (run.facts)
    text += fmt::format(" {} answers.", material.labels.size());
  else if (!material.labels.empty())
    text +=
        fmt::format(" {} labels: {}.", material.labels.size(), fmt::join(material.labels, ", "));
  if (material.empty + material.too_long > 0)
    text += fmt::format(" Left out: {} with nothing in them, {} longer than {} {}.",
                        report::whole(material.empty), report::whole(material.too_long), run.length,
                        run.facts ? "sentences" : "tokens");
  if (material.bad_images > 0)
    text +=
        fmt::format(" Skipped: {} images that cannot be read.", report::whole(material.bad_images));
  text += fmt::format(" {} steps in {}.", report::whole(result.steps),
                      report::duration(result.seconds));
  fmt::print("\n{}\n", report::wrapped(text, report::terminal_width()));
  if (run.kind == train::TextKind::mlm) {
    fmt::print("Look at it: headlight inspect {} --lines lines.txt\n", shell_word(folder.string()));
    return;
  }
  fmt::print("Use it: headlight {} {} {}\n",
             lm ? "generate" : nlohmann::json(run.kind).get<std::string>(),
             shell_word(folder.string()),
             run.kind == train::TextKind::caption  ? "picture.png"
             : run.kind == train::TextKind::answer ? "questions.txt"
                                                   : "< lines.txt");
}

// Why a run ended before its time, and what to do; empty where the first process says it.
std::string stopped_text(const train::Result& result, const fs::path& folder, bool first) {
  if (result.lost ? result.lost->empty() : !first) return "";
  return fmt::format("stopped at step {}{}; {} kept. Go on with: headlight train --resume {}",
                     result.steps, result.lost ? ": " + *result.lost : "",
                     first ? "what is done is" : "the last checkpoint is",
                     shell_word(folder.string()));
}

// The first process alone has the folder and speaks; its settings are those of all.
void train_in(const train::Processes& processes, const TrainOptions& o, const Common& common) {
  const bool resumes = !o.resume.empty();
  const fs::path folder = resumes ? o.resume : o.out;
  bool is_new = false;
  train::TextRun run;
  const std::string settings = processes.text_of_first([&] {
    if (!resumes && (o.data.empty() || o.out.empty()))
      throw Error(ErrorKind::usage, o.data.empty() ? "DATA is missing: files of text to learn from"
                                                   : "--out is missing: the folder of the model");
    run = resumes ? resumed(o) : run_of(o, common, processes);
    train::validate(run.settings);
    // Says what is wrong with sizes before anything is read.
    if (run.from.empty()) train::config_of(run, train::kAnyVocabulary);
    is_new = !fs::exists(folder);
    if (!resumes) begin_folder(folder, run);
    return nlohmann::json(run).dump();
  });
  if (!processes.first()) run = nlohmann::json::parse(settings).get<train::TextRun>();
  // The number of threads may change last bits, so a run keeps its own.
  at::set_num_threads(run.threads);
  train::Result result;
  std::optional<train::TextMaterial> material;
  try {
    material = train::prepare_text(run, folder, processes);
    result = train_with_progress(run, *material, folder, common, processes);
  } catch (...) {
    if (processes.first()) remove_unused(folder, is_new);
    throw;
  }
  if (!result.finished)
    throw Error(result.lost ? ErrorKind::no_resources : ErrorKind::interrupted,
                stopped_text(result, folder, processes.first()));
  if (!processes.first()) return;
  if (common.json)
    print_json(json_of(run, *material, result, folder));
  else
    print_result(run, *material, result, folder);
}

void train_verb(const TrainOptions& o, const Common& common) {
  need_cpu(common, "train");
  const train::Processes processes = train::join_processes();
  try {
    train_in(processes, o, common);
  } catch (const Error& error) {
    if (processes.first() || *error.what() == '\0') throw;
    throw Error(error.kind(), fmt::format("process {} of {}: {}", processes.rank(),
                                          processes.size(), error.what()));
  }
}

}  // namespace

void add_train(CLI::App& program, Common& common) {
  auto options = std::make_shared<TrainOptions>();
  TrainOptions& o = *options;
  CLI::App* verb = program.add_subcommand(
      "train", "A model of your own that translates, summarises, answers, captions, classifies");
  verb->add_option(
          "DATA", o.data,
          "Two files, source and target line by line, or one with a tab between them or "
          "JSON with \"source\" and \"target\" on every line; for "
          "answer, files of questions (see headlight answer); for caption, lines of an "
          "image's path, a tab and its caption; for classify, a text and its label as source "
          "and target; for lm and mlm, files of lines")
      ->type_name("FILE");
  auto* what = "What to learn";
  verb->add_option("--kind", o.kind,
                   "translate, summarize, answer, caption, lm (a language model), classify, or mlm "
                   "(an encoder that guesses masked tokens)")
      ->check(CLI::IsMember(train::kTextKinds))
      ->capture_default_str()
      ->group(what);
  verb->add_option("--valid", o.valid, "Data to validate on; without it a part is held out")
      ->expected(1, -1)
      ->type_name("FILE")
      ->group(what);
  verb->add_flag("--keep-case", o.keep_case,
                 "Read capitals as they are (translate reads all in lower case)")
      ->group(what);
  CLI::Option* facts =
      verb->add_flag("--facts", o.facts,
                     "answer: read stories fact by fact, each answer one of those in the data; so "
                     "it is without this option where all DATA is stories")
          ->group(what);
  verb->add_flag("--no-facts", o.no_facts, "answer: read stories as one text, and write answers")
      ->excludes(facts)
      ->group(what);
  verb->add_flag("--skip-bad", o.skip_bad, "caption: skip and count images that cannot be read")
      ->group(what);
  verb->add_option("--vocabulary", o.vocabulary, "Pieces of words at most [8000]")->group(what);
  verb->add_option("--length", o.length, "Longer pairs are left out, in tokens [256]")->group(what);

  auto* model = "The model";
  verb->add_option("--from", o.from,
                   "Go on from a checkpoint: its weights, sizes and vocabulary, on this data")
      ->type_name("MODEL")
      ->group(model);
  verb->add_option("--size", o.size, "small, or base (Vaswani et al.'s); the rest changes it")
      ->check(CLI::IsMember({"small", "base"}))
      ->capture_default_str()
      ->group(model);
  verb->add_option("--layers", o.layers, "Layers, of encoder and decoder each [4]")->group(model);
  verb->add_option("--dim", o.dim, "Width [128]")->group(model);
  verb->add_option("--heads", o.heads, "Heads a layer [4]")->group(model);
  verb->add_option("--ffn", o.ffn, "Width of the feed-forward part [256]")->group(model);
  verb->add_option("--dropout", o.dropout, "Dropout [0.3]")->group(model);
  verb->add_option("--image-size", o.image_size,
                   "caption: pixels of a side; images are resized [32]")
      ->check(CLI::Range(1, 4096))
      ->group(model);
  verb->add_option("--patch", o.patch, "caption: pixels of a side of the squares it reads [4]")
      ->check(CLI::Range(1, 4096))
      ->group(model);

  auto* training = "Training";
  verb->add_option("--steps", o.steps, "Steps [12000]")->group(training);
  verb->add_option("--budget-minutes", o.budget_minutes, "End after so many minutes, at any step")
      ->check(CLI::PositiveNumber)
      ->group(training);
  verb->add_option("--batch", o.batch, "Tokens a step, padding included [2048]")->group(training);
  verb->add_option("--learning-rate", o.learning_rate, "At the end of the warm-up [0.003]")
      ->group(training);
  verb->add_option("--warmup", o.warmup, "Steps of warm-up [1500]")->group(training);
  verb->add_option("--label-smoothing", o.label_smoothing, "Share of a label for all classes [0.1]")
      ->group(training);
  verb->add_option("--precision", o.precision,
                   "Of linear layers in training steps; auto: bfloat16 where the processor has its "
                   "products, else float32")
      ->check(CLI::IsMember({"auto", "float32", "bfloat16"}))
      ->capture_default_str()
      ->group(training);
  verb->add_option("--evaluate-every", o.evaluate_every, "Steps between looks at validation [500]")
      ->group(training);

  auto* folder = "The folder";
  CLI::Option* out = verb->add_option("--out", o.out, "Where the model goes; a run there goes on")
                         ->type_name("FOLDER")
                         ->group(folder);
  verb->add_option("--resume", o.resume,
                   "Go on with the run in this folder, with its own settings but --budget-minutes")
      ->type_name("FOLDER")
      ->excludes(out)
      ->group(folder);
  verb->footer(
      "In brackets: what translate takes; the other kinds have their own.\n"
      "Ctrl-C keeps what is done. The folder is a model for every other verb.\n"
      "torchrun --no-python --nproc-per-node N headlight train ... shares the work.\n\n"
      "Example:\n"
      "  headlight train train.en train.de --valid val.en val.de \\\n"
      "    --budget-minutes 20 --out en-de\n"
      "  headlight translate en-de < test.en > test.out");
  verb->callback([options, &common] { train_verb(*options, common); });
}

}  // namespace headlight::app
