#include "app/diff.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "app/model_data.h"
#include "headlight/error.h"
#include "lab/comparison.h"
#include "lab/inspection.h"
#include "model/checkpoint.h"
#include "report/head_changes.h"
#include "report/head_roles.h"
#include "report/number.h"
#include "report/page.h"
#include "report/progress.h"
#include "report/terminal.h"
#include "tensorfile/atomic_file.h"
#include "text/tokenizer.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kListed = 20;  // heads on the terminal

struct DiffOptions {
  DataOptions data;
  fs::path other, html;
  lab::ComparisonSettings settings;
  std::optional<double> max_shift;
};

const std::map<std::string, lab::MatchBy> kBy = {{"pattern", lab::MatchBy::pattern},
                                                 {"output", lab::MatchBy::output},
                                                 {"both", lab::MatchBy::both}};

// The same ids must mean the same words, or both models would read different texts.
void require_same_vocabulary(const DiffOptions& options, std::vector<std::string>& notes) {
  const InputOptions& input = options.data.input;
  if (input.tokens || !input.inputs.empty() || options.data.data.extension() == ".npz") return;
  const text::Tokenizer a = text::read_tokenizer(input.model);
  const std::optional<text::Tokenizer> b = [&]() -> std::optional<text::Tokenizer> {
    try {
      return text::read_tokenizer(options.other);
    } catch (const Error& error) {
      notes.push_back(
          fmt::format("The second model reads the ids of the first one's tokenizer; "
                      "its own was not read: {}.",
                      error.what()));
      return {};
    }
  }();
  if (!b) return;
  for (int64_t id = 0; id < std::max(a.id_limit(), b->id_limit()); ++id) {
    const auto first = a.token_of(id), second = b->token_of(id);
    if (first != second)
      throw Error(ErrorKind::bad_input,
                  fmt::format("{} and {} have different vocabularies: id {} is {} in the first and "
                              "{} in the second; heads can be compared over the same tokens only",
                              input.model.string(), options.other.string(), id,
                              first ? fmt::format("'{}'", *first) : "nothing",
                              second ? fmt::format("'{}'", *second) : "nothing"));
  }
}

lab::Inspection inspected(const model::Transformer& model, const ModelData& data,
                          const DiffOptions& options, const Common& common) {
  lab::InspectSettings settings;
  settings.flow = false;
  settings.start_token = data.start_token;
  settings.seed = options.settings.seed;
  settings.threads = thread_count(common);
  return lab::inspect(model, data.examples, settings);
}

report::RoleNames roles_of(const lab::Inspection& inspection) {
  report::RoleNames roles;
  for (const lab::InspectedLayer& layer : inspection.layers)
    for (size_t h = 0; h < layer.analysis.structure.size(); ++h)
      roles[{layer.stack, layer.layer, report::head_number(layer, h)}] =
          report::role_of(layer, h).name;
  return roles;
}

Json json_of(const DiffOptions& options, const lab::Comparison& found,
             const report::RoleNames& roles_a, const report::RoleNames& roles_b,
             const std::vector<std::string>& notes, bool passed) {
  const lab::ComparisonSettings& settings = options.settings;
  std::string by;
  for (const auto& [name, value] : kBy)
    if (value == settings.by) by = name;
  const lab::ChangeCounts counts = lab::count_changes(found);
  Json json = {
      {"schema", "headlight.diff/1"},
      {"a", options.data.input.model.string()},
      {"b", options.other.string()},
      {"examples", found.examples},
      {"rows", found.rows},
      {"by", by},
      {"thresholds",
       {{"moved", settings.moved}, {"apart", settings.apart}, {"silent", settings.silent}}},
      {"max_shift", options.max_shift ? Json(*options.max_shift) : Json()},
      {"passed", passed},
      {"counts",
       {{"same", counts.same},
        {"moved", counts.moved},
        {"died", counts.died},
        {"appeared", counts.appeared},
        {"renumbered", counts.renumbered}}},
      {"notes", notes}};
  json["layers"] = Json::array();
  for (const lab::ComparedLayer& layer : found.layers) {
    Json entry = lab::to_json(layer);
    const auto roles = [&](const report::RoleNames& all, const std::vector<int64_t>& numbers) {
      Json list = Json::array();
      for (const int64_t number : numbers) {
        const auto role = all.find({layer.stack, layer.layer, number});
        list.push_back(role == all.end() || role->second.empty() ? Json() : Json(role->second));
      }
      return list;
    };
    entry["roles_a"] = roles(roles_a, layer.heads_a);
    entry["roles_b"] = roles(roles_b, layer.heads_b);
    json["layers"].push_back(std::move(entry));
  }
  return json;
}

// The head that is farthest from what it was, as "self.0.3 (0.41)".
struct Farthest {
  double distance = -1;
  std::string name;
};
Farthest farthest_of(const lab::Comparison& found) {
  Farthest worst;
  for (const lab::ComparedLayer& layer : found.layers)
    if (const lab::HeadMatch* match = lab::farthest(layer);
        match && *match->distance > worst.distance)
      worst = {*match->distance, fmt::format("{}.{}.{}", layer.stack, layer.layer,
                                             layer.heads_a[static_cast<size_t>(*match->a)])};
  return worst;
}

void diff(DiffOptions options, const Common& common) {
  need_cpu(common, "diff");
  if (options.settings.moved > options.settings.apart)
    throw Error(ErrorKind::usage, "--moved must not be above --apart");
  at::set_num_threads(thread_count(common));
  options.settings.threads = thread_count(common);
  options.settings.seed = common.seed;

  std::vector<std::string> notes;
  const ModelData data = read_examples(options.data, load_model(options.data));
  if (!data.note.empty()) notes.push_back(data.note);
  require_same_vocabulary(options, notes);
  const model::Transformer other = model::load(options.other);

  report::ProgressLine progress({.quiet = common.quiet});
  const auto advanced = [&](int64_t done) {
    progress.update({.done = double(done),
                     .total = double(data.examples.size()),
                     .unit = "examples",
                     .text = "comparing"});
  };
  const lab::Comparison found =
      lab::compare(data.model, other, data.examples, options.settings, advanced);
  const report::RoleNames roles_a = roles_of(inspected(data.model, data, options, common));
  const report::RoleNames roles_b = roles_of(inspected(other, data, options, common));
  progress.finish();
  if (!found.outputs && options.settings.by == lab::MatchBy::both)
    notes.push_back("No example has four tokens: heads are compared by their patterns alone.");
  if (found.examples < 2) notes.push_back("Intervals need two examples: a text a line in --data.");

  const Farthest worst = farthest_of(found);
  const bool passed = !options.max_shift || worst.distance <= *options.max_shift;
  const Json json = json_of(options, found, roles_a, roles_b, notes, passed);
  if (!options.html.empty())
    tensorfile::write_file_atomically(options.html, report::diff_page(json));
  if (common.json) {
    print_json(json);
  } else {
    const int width = report::terminal_width();
    fmt::print(
        "{}\n{}\n\n",
        report::wrapped(
            report::printable(fmt::format(
                "{} -> {}: {}, {}", options.data.input.model.string(), options.other.string(),
                report::counted(found.examples, "example"), report::counted(found.rows, "token"))),
            width),
        report::wrapped(fmt::format("same: a distance up to {}; moved: up to {}; beyond, or "
                                    "silent in one: died, appeared",
                                    options.settings.moved, options.settings.apart),
                        width));
    fmt::print("{}",
               report::head_changes(found, roles_a, roles_b, kListed, width, report::use_colour()));
    if (!notes.empty()) fmt::print("\n");
    for (const std::string& note : notes)
      fmt::print("{}\n", report::wrapped(report::printable(note), width));
  }
  std::fflush(stdout);
  if (!passed)
    throw Error(ErrorKind::check_failed,
                fmt::format("head {} moved by {}, more than --max-shift {}", worst.name,
                            report::significant(worst.distance), *options.max_shift));
}

}  // namespace

void add_diff(CLI::App& program, const Common& common) {
  auto options = std::make_shared<DiffOptions>();
  lab::ComparisonSettings& settings = options->settings;
  CLI::App* verb = program.add_subcommand(
      "diff", "Which heads changed between two models, matched head to head");
  add_data_options(*verb, options->data);
  verb->add_option("OTHER", options->other, "The model to hold against it: later, another seed")
      ->required()
      ->type_name("FOLDER");
  verb->add_option(
          "--by", settings.by,
          "Match heads by what they look at (pattern), what they add (output) or both [both]")
      ->transform(CLI::CheckedTransformer(kBy))
      ->type_name("HOW");
  const auto share = [&](const char* name, double& value, const char* text) {
    verb->add_option(name, value, text)
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->type_name("X");
  };
  share("--moved", settings.moved, "A distance above it: the head moved");
  share("--apart", settings.apart, "Above it: another head; one died, one appeared");
  share("--silent", settings.silent,
        "An output below this share of the layer's root mean square: dead");
  verb->add_option("--max-shift", options->max_shift, "Exit code 1 if a head moved more than that")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("X");
  verb->add_option("--html", options->html, "Both models' heads side by side, as an offline page")
      ->type_name("FILE");
  verb->footer(
      "Example:\n"
      "  headlight diff before/ after/ --data lines.txt --html diff.html");
  verb->callback([options, &common] { diff(*options, common); });
}

}  // namespace headlight::app
