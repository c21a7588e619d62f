#include "app/evaluate.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/model_data.h"
#include "headlight/error.h"
#include "heads/bootstrap.h"
#include "report/number.h"
#include "report/table.h"
#include "report/terminal.h"
#include "score/bleu.h"
#include "score/chrf.h"
#include "score/evaluation.h"
#include "text/lines.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct EvaluateOptions {
  fs::path hypothesis, reference;
  DataOptions model;  // with --model and --data instead: how well a model predicts text
};

// How each score is made, in a few words.
const std::map<std::string, std::string> kMeanings = {
    {"bleu", "words and runs of up to 4"},
    {"chrf", "runs of up to 6 characters"},
    {"rouge1", "words"},
    {"rouge2", "pairs of words"},
    {"rougeL", "longest common subsequence"},
    {"exact_match", "lines that are right as a whole"},
    {"f1", "words of an answer"},
};

Json json_of(const std::vector<score::Score>& scores, size_t lines) {
  Json json = {{"schema", "headlight.evaluate/1"}, {"lines", lines}};
  Json intervals;
  for (const score::Score& score : scores) {
    json[score.name] = score.value;
    intervals[score.name] = {score.interval.low, score.interval.high};
  }
  json["intervals"] = std::move(intervals);
  json["signature"] = score::kBleuSignature;
  json["chrf_signature"] = score::kChrfSignature;
  return json;
}

// What lines cost a model that has to predict them.
void evaluate_model(const DataOptions& options, const Common& common) {
  need_cpu(common, "evaluate --model");
  at::set_num_threads(thread_count(common));
  const ModelData data = read_data(options, load_model(options), common.seed);
  const lab::Losses losses =
      losses_of(data.model, batches_of(data.model.config, data.examples, kBatchTokens));
  std::vector<std::vector<double>> items;
  for (size_t i = 0; i < losses.nats.size(); ++i)
    items.push_back({losses.nats[i], double(losses.scored[i]), double(losses.correct[i])});
  const std::vector<heads::Interval> found = heads::sums_bootstrap(
      items,
      [](const std::vector<double>& sums) {
        return std::vector{sums[0] / sums[1], 100 * sums[2] / sums[1]};
      },
      heads::kReplicates, common.seed);
  const heads::Interval &loss = found[0], &accuracy = found[1];
  const int64_t tokens = std::accumulate(losses.scored.begin(), losses.scored.end(), int64_t{0});
  if (common.json) {
    print_json({{"schema", "headlight.evaluate/1"},
                {"lines", items.size()},
                {"tokens", tokens},
                {"loss", loss.mean},
                {"perplexity", std::exp(loss.mean)},
                {"accuracy", accuracy.mean},
                {"intervals",
                 {{"loss", {loss.low, loss.high}},
                  {"perplexity", {std::exp(loss.low), std::exp(loss.high)}},
                  {"accuracy", {accuracy.low, accuracy.high}}}}});
    return;
  }
  report::Table table;
  table.columns = {{.title = "score", .right = false},
                   {.title = "value"},
                   {.title = "95 % interval"},
                   {.title = "of", .right = false, .drop = 1}};
  const auto add = [&](const char* name, double value, double low, double high,
                       const std::string& of) {
    table.rows.push_back(
        {name, report::significant(value, 4),
         fmt::format("{} to {}", report::significant(low, 4), report::significant(high, 4)), of});
  };
  add("loss", loss.mean, loss.low, loss.high, fmt::format("nats a {}", data.unit));
  add("perplexity", std::exp(loss.mean), std::exp(loss.low), std::exp(loss.high),
      "equally likely answers to choose from");
  add("accuracy", accuracy.mean, accuracy.low, accuracy.high,
      fmt::format("percent of {}s whose likeliest answer is right", data.unit));
  fmt::print("{}, {}\n{}", report::counted(int64_t(items.size()), "line"),
             report::counted(tokens, data.unit),
             report::render(table, report::terminal_width(), report::use_colour()));
  if (!data.note.empty())
    fmt::print("\n{}\n", report::wrapped(data.note, report::terminal_width()));
}

void evaluate(const EvaluateOptions& options, const Common& common) {
  const bool lines = !options.hypothesis.empty() && !options.reference.empty();
  const bool model = !options.model.input.model.empty() && !options.model.data.empty();
  if (!lines && !model)
    throw Error(
        ErrorKind::usage,
        "give --hypothesis and --reference to judge lines, or --model and --data to ask how "
        "well a model predicts them");
  if (model) return evaluate_model(options.model, common);
  if (options.hypothesis == "-" && options.reference == "-")
    throw Error(ErrorKind::usage, "only one of --hypothesis and --reference can be standard input");
  const std::vector<std::string> ours = text::read_lines(options.hypothesis);
  const std::vector<std::string> theirs = text::read_lines(options.reference);
  if (ours.size() != theirs.size())
    throw Error(
        ErrorKind::bad_input,
        fmt::format("{} has {}, but {} has {}; line by line, the second must say what the "
                    "first should",
                    options.hypothesis.string(), report::counted(int64_t(ours.size()), "line"),
                    options.reference.string(), report::counted(int64_t(theirs.size()), "line")));
  if (ours.empty())
    throw Error(ErrorKind::bad_input, options.hypothesis.string() + ": holds no lines");
  const std::vector<score::Score> scores = score::evaluate(ours, theirs, 1000, common.seed);
  if (common.json) {
    print_json(json_of(scores, ours.size()));
    return;
  }
  report::Table table;
  table.columns = {{.title = "score", .right = false},
                   {.title = "percent"},
                   {.title = "95 % interval"},
                   {.title = "of", .right = false, .drop = 1}};
  for (const score::Score& score : scores)
    table.rows.push_back({score.name, fmt::format("{:.2f}", score.value),
                          fmt::format("{:.2f} to {:.2f}", score.interval.low, score.interval.high),
                          kMeanings.at(score.name)});
  fmt::print("{}\n{}", report::counted(int64_t(ours.size()), "line"),
             report::render(table, report::terminal_width(), report::use_colour()));
  fmt::print("\nBLEU {}\nchrF {}\n", score::kBleuSignature, score::kChrfSignature);
}

}  // namespace

void add_evaluate(CLI::App& program, const Common& common) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* verb = program.add_subcommand(
      "evaluate", "How good lines are: BLEU, chrF, ROUGE, exact match, F1; accuracy of a model");
  auto* judged = "Lines that were written";
  CLI::Option* hypothesis =
      verb->add_option("--hypothesis", options->hypothesis, "Lines to judge; - is standard input")
          ->type_name("FILE")
          ->group(judged);
  verb->add_option("--reference", options->reference, "What they should say, line by line")
      ->type_name("FILE")
      ->needs(hypothesis)
      ->group(judged);
  auto* predicted = "Or lines that a model is to predict";
  CLI::Option* model = verb->add_option("--model", options->model.input.model,
                                        "A folder of headlight train, or of Hugging Face")
                           ->type_name("FOLDER")
                           ->excludes(hypothesis)
                           ->group(predicted);
  verb->add_option("--data", options->model.data,
                   "Lines, or a .tsv: source and target for two stacks, text and class")
      ->type_name("FILE")
      ->needs(model)
      ->group(predicted);
  verb->footer(
      "BLEU and chrF are those of sacrebleu 2.6.0 at its defaults, ROUGE is that of\n"
      "rouge-score 0.1.2 without its stemmer (mean F-measure of the lines), exact match\n"
      "and F1 are those of SQuAD 2.0. Intervals: 1,000 draws of as many lines, 2,000\n"
      "for --model, which gives the loss a token, perplexity and accuracy.\n\n"
      "Example:\n"
      "  headlight translate model/ < test.en > out.de\n"
      "  headlight evaluate --hypothesis out.de --reference test.de");
  verb->callback([options, &common] { evaluate(*options, common); });
}

}  // namespace headlight::app
