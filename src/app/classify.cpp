#include "app/classify.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "app/interrupt.h"
#include "headlight/error.h"
#include "report/progress.h"
#include "task/text_classifier.h"
#include "text/lines.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Lines of one part are sorted by length, which needs many; those who wait want to see some soon.
constexpr size_t kPart = 2000;

struct ClassifyOptions {
  fs::path model;
  std::vector<std::string> files = {"-"};
  task::Classifying how;
  int64_t nbest = 1;
  bool scores = false;
};

// Of a .tsv the first column, so that what a model was trained on can be given as it is.
std::vector<std::string> texts_in(const fs::path& file) {
  std::vector<std::string> lines = text::read_lines(file);
  if ((file.extension() == ".gz" ? file.stem() : file).extension() == ".tsv")
    for (std::string& line : lines) line.resize(std::min(line.size(), line.find('\t')));
  return lines;
}

// The likeliest classes, of equal ones the first.
std::vector<size_t> best_of(const std::vector<double>& probabilities, int64_t count) {
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(count)));
  return order;
}

// `nbest` lines for every line that was read, so that the place of a line says where it belongs.
void print_labels(const std::vector<double>& probabilities, const std::vector<std::string>& labels,
                  const ClassifyOptions& o) {
  if (probabilities.empty())
    for (int64_t i = 0; i < o.nbest; ++i) fmt::print("{}\n", o.scores ? "\t" : "");
  for (const size_t best : best_of(probabilities, o.nbest))
    fmt::print("{}{}\n", o.scores ? fmt::format("{:.4f}\t", probabilities[best]) : "",
               labels[best]);
}

Json json_of(const std::vector<double>& probabilities, const std::vector<std::string>& labels,
             const ClassifyOptions& o) {
  Json line = Json::array();
  for (const size_t best : best_of(probabilities, o.nbest))
    line.push_back({{"label", labels[best]}, {"probability", probabilities[best]}});
  if (o.nbest > 1) return line;
  return line.empty() ? Json{{"label", nullptr}, {"probability", nullptr}} : line[0];
}

// What the lines of one file come to. Counts lines in `done`, of all files.
void classify_file(const task::TextClassifier& classifier, const fs::path& file,
                   const ClassifyOptions& o, const Common& common, Json& all, size_t& done) {
  const std::vector<std::string> lines = texts_in(file);
  const std::string name = file == "-" ? "standard input" : file.string();
  report::ProgressLine progress({.quiet = common.quiet});
  for (size_t first = 0; first < lines.size(); first += kPart) {
    const size_t last = std::min(lines.size(), first + kPart);
    const std::vector<std::string> part(lines.begin() + static_cast<std::ptrdiff_t>(first),
                                        lines.begin() + static_cast<std::ptrdiff_t>(last));
    const auto hear = [&](int64_t of_part) {
      progress.update({.done = double(first) + double(of_part),
                       .total = double(lines.size()),
                       .unit = "lines"});
      return !interrupted();
    };
    const auto found =
        task::classify_lines(classifier, part, o.how, name, static_cast<int64_t>(first) + 1, hear);
    if (interrupted())
      throw Error(ErrorKind::interrupted,
                  fmt::format("stopped; the first {} lines are written", done));
    for (const std::vector<double>& probabilities : found)
      if (common.json)
        all.push_back(json_of(probabilities, classifier.labels, o));
      else
        print_labels(probabilities, classifier.labels, o);
    std::fflush(stdout);
    done += part.size();
  }
  progress.finish();
}

void classify(const ClassifyOptions& o, const Common& common) {
  need_cpu(common, "classify");
  at::set_num_threads(thread_count(common));
  const auto start = std::chrono::steady_clock::now();
  const task::TextClassifier classifier = task::read_text_classifier(o.model);
  if (const size_t count = classifier.labels.size(); static_cast<size_t>(o.nbest) > count)
    throw Error(ErrorKind::usage,
                fmt::format("--nbest {}: the model has {} labels", o.nbest, count));
  watch_for_interrupt();
  Json all = Json::array();
  size_t done = 0;
  for (const fs::path file : o.files) classify_file(classifier, file, o, common, all, done);
  if (!common.json) return;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print_json({{"schema", "headlight.classify/1"}, {"lines", std::move(all)}, {"seconds", seconds}});
}

}  // namespace

void add_classify(CLI::App& program, const Common& common) {
  auto options = std::make_shared<ClassifyOptions>();
  ClassifyOptions& o = *options;
  CLI::App* verb = program.add_subcommand("classify", "Lines to their labels");
  verb->add_option("MODEL", o.model, "A folder of headlight train, or of Hugging Face")
      ->required()
      ->type_name("FOLDER");
  verb->add_option("FILE", o.files,
                   "Lines of text, of a .tsv the first column; - is standard input")
      ->capture_default_str();
  auto* lines = "Lines";
  verb->add_option("--nbest", o.nbest, "Labels for every line, one below the other")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000))
      ->group(lines);
  verb->add_flag("--scores", o.scores, "Write each label's probability and a tab before it")
      ->group(lines);
  verb->add_option("--batch", o.how.batch, "Lines at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000))
      ->group(lines);
  verb->add_flag("--cut", o.how.cut, "Cut lines that are longer than the model reads")
      ->group(lines);
  verb->footer(
      "An empty line stays an empty line.\n\n"
      "Example:\n"
      "  headlight classify model/ test.txt --scores");
  verb->callback([options, &common] { classify(*options, common); });
}

}  // namespace headlight::app
