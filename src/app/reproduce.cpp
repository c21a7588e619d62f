#include "app/reproduce.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "app/study_session.h"
#include "headlight/error.h"
#include "report/number.h"
#include "report/table.h"
#include "report/terminal.h"

namespace headlight::app {
namespace {

struct ReproduceOptions {
  std::string experiment;
  std::vector<std::string> tasks{"copy", "cycle"};
  std::vector<int64_t> heads{1, 4, 8, 16};
  int64_t seeds = 1;
  bool quick = false;
  std::filesystem::path out = "beyond-parallelism";
  std::filesystem::path resume;
};

// Sáez de Ocáriz Borde 2025, arXiv 2507.02944, section 4 and its public code: T 100, 256 symbols,
// 4 layers, d 64, feed-forward 128, RMSNorm before each part, ReLU, learned positions, dropout
// 0.1, 5,000 training sequences, batches of 50, 200 epochs of Adam at 1e-3, mixing time and
// fidelity on 50 sequences.
study::Completed published(const ReproduceOptions& options, const Common& common) {
  constexpr int64_t kSteps = 200 * (5000 / 50);
  study::Settings s;
  for (const std::string& task : options.tasks)
    s.tasks.push_back({.name = task + "(100,256)",
                       .steps = options.quick ? kSteps / 20 : kSteps,
                       .layers = 4,
                       .evaluate_every = options.quick ? 100 : 1000,
                       .learning_rate = 1e-3});
  s.heads = options.heads;
  s.seeds = options.seeds;
  s.first_seed = common.seed;
  s.dim = 64;
  s.ffn = 128;
  s.dropout = 0.1;
  s.training.batch = 50;
  s.samples = 5000;
  s.test_samples = 500;
  s.analysis_sequences = options.quick ? 10 : 50;
  return study::completed(s);
}

// "3.64 ± 0.10" of {"mean", "standard_deviation"}; the median where some are infinite.
std::string spread_text(const nlohmann::ordered_json& layer, const char* key) {
  const nlohmann::ordered_json& spread =
      layer.value("/flow/combined_output_norm"_json_pointer, nlohmann::ordered_json::object())
          .value(key, nlohmann::ordered_json::object());
  if (spread.contains("mean") && spread["mean"].is_number())
    return fmt::format("{:.2f} ± {:.2f}", spread["mean"].get<double>(),
                       spread["standard_deviation"].get<double>());
  if (spread.contains("median") && spread["median"].is_number())
    return fmt::format("median {:.2f}", spread["median"].get<double>());
  return spread.value("infinite", 0) > 0 ? "infinite" : "–";
}

// Every layer of every run in both conventions, beside the same model before training.
void print_layers(const nlohmann::ordered_json& report) {
  report::Table table;
  table.columns = {{.title = "task", .right = false},
                   {.title = "heads"},
                   {.title = "layer"},
                   {.title = "accuracy"},
                   {.title = "mixing (published)"},
                   {.title = "untrained", .drop = 2},
                   {.title = "fidelity % (published)"},
                   {.title = "untrained", .drop = 2},
                   {.title = "hitting time", .drop = 1},
                   {.title = "fidelity", .drop = 1}};
  for (const auto& run : report["runs"])
    for (size_t l = 0; l < run["layers"].size(); ++l) {
      const auto& layer = run["layers"][l];
      const auto& before = run["untrained_layers"][l];
      table.rows.push_back(
          {run["task"], fmt::to_string(run["heads"].get<int64_t>()), fmt::to_string(l),
           report::percent(run["test_accuracy"].get<double>()),
           spread_text(layer, "mixing_published"), spread_text(before, "mixing_published"),
           spread_text(layer, "fidelity_published"), spread_text(before, "fidelity_published"),
           spread_text(layer, "hitting_mean"), spread_text(layer, "fidelity")});
    }
  fmt::print(
      "\nHeads combined by the norm of their output projection, mean ± standard deviation "
      "over sequences\n{}",
      report::render(table, report::terminal_width(), report::use_colour()));
}

void run_reproduction(const CLI::App& verb, const ReproduceOptions& options, const Common& common) {
  refuse_other_devices(common);
  study::Folder folder;
  study::Tasks tasks;
  if (options.resume.empty()) {
    auto [settings, made] = published(options, common);
    folder = study::create(options.out, settings, command_of(verb));
    tasks = std::move(made);
  } else {
    folder = study::open(options.resume);
    tasks = study::make_tasks(folder.settings);
  }
  const nlohmann::ordered_json report = carry_out_session(
      folder, std::move(tasks), {.verb = "headlight reproduce " + options.experiment}, common);
  if (common.json) return;
  print_layers(report);
  std::string remarks =
      "\nPublished values are not printed beside ours: the paper's tables could not be read here, "
      "only its code. Its conventions are the columns marked (published); the others are the "
      "corrected ones (docs/metrics.md).";
  if (options.quick)
    remarks +=
        "\n--quick trains 1,000 steps instead of 20,000 and analyses 10 sequences instead of 50.";
  fmt::print("{}\n", report::wrapped(remarks, report::terminal_width()));
}

}  // namespace

void add_reproduce(CLI::App& program, const Common& common) {
  const auto options = std::make_shared<ReproduceOptions>();
  CLI::App* verb = program.add_subcommand(
      "reproduce", "Run a published experiment whole: beyond-parallelism (arXiv 2507.02944)");
  verb->footer(
      "Example: the scaled version, a few minutes\n"
      "  headlight reproduce beyond-parallelism --quick --out quick\n"
      "The full experiment trains 20,000 steps for each task and head count: several\n"
      "hours on two cores. Writes what headlight study writes.");
  verb->add_option("experiment", options->experiment, "beyond-parallelism")
      ->required()
      ->check(CLI::IsMember({"beyond-parallelism"}));
  auto* tasks = verb->add_option("--tasks", options->tasks, "copy, cycle or both")
                    ->delimiter(',')
                    ->check(CLI::IsMember({"copy", "cycle"}))
                    ->capture_default_str();
  auto* heads = verb->add_option("--heads", options->heads, "Head counts")
                    ->delimiter(',')
                    ->capture_default_str();
  auto* seeds = verb->add_option("--seeds", options->seeds, "Runs of each; published: 1")
                    ->capture_default_str();
  auto* quick = verb->add_flag("--quick", options->quick,
                               "1,000 steps instead of 20,000; 10 sequences, not 50");
  auto* out =
      verb->add_option("--out", options->out, "Folder; an experiment that was begun goes on")
          ->type_name("FOLDER")
          ->capture_default_str();
  verb->add_option("--resume", options->resume,
                   "Go on with the experiment in this folder; its settings stay")
      ->type_name("FOLDER")
      ->excludes(out)
      ->excludes(tasks)
      ->excludes(heads)
      ->excludes(seeds)
      ->excludes(quick);
  verb->callback([verb, options, &common] { run_reproduction(*verb, *options, common); });
}

}  // namespace headlight::app
