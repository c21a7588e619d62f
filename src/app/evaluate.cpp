#include "app/evaluate.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "headlight/error.h"
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

void evaluate(const EvaluateOptions& options, const Common& common) {
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
    fmt::print("{}\n", json_of(scores, ours.size()).dump());
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
      "evaluate", "How good lines are beside the right ones: BLEU, chrF, ROUGE, exact match, F1");
  verb->add_option("--hypothesis", options->hypothesis, "Lines to judge; - is standard input")
      ->required()
      ->type_name("FILE");
  verb->add_option("--reference", options->reference, "What they should say, line by line")
      ->required()
      ->type_name("FILE");
  verb->footer(
      "BLEU and chrF are those of sacrebleu 2.6.0 at its defaults, ROUGE is that of\n"
      "rouge-score 0.1.2 without its stemmer (mean F-measure of the lines), exact match\n"
      "and F1 are those of SQuAD 2.0. Intervals: 1,000 draws of as many lines.\n\n"
      "Example:\n"
      "  headlight translate model/ < test.en > out.de\n"
      "  headlight evaluate --hypothesis out.de --reference test.de");
  verb->callback([options, &common] { evaluate(*options, common); });
}

}  // namespace headlight::app
