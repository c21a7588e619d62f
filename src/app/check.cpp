#include "app/check.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/model_data.h"
#include "headlight/error.h"
#include "lab/limits.h"
#include "report/junit.h"
#include "report/number.h"
#include "report/progress.h"
#include "report/table.h"
#include "report/terminal.h"
#include "tensorfile/atomic_file.h"
#include "text/whole_number.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kTolerance = 0.05;  // of a baseline that came without a rule

struct CheckOptions {
  DataOptions data;
  lab::Limits limits;  // of the command line
  std::vector<std::string> min_role;
  fs::path file, junit, save;
};

// "induction=1"
std::pair<std::string, int64_t> role_and_count(const std::string& text) {
  const size_t equals = text.rfind('=');
  const std::string role = text.substr(0, equals);
  if (!lab::is_role(role)) {
    const std::string near = nearest_word(role, lab::roles());
    throw Error(
        ErrorKind::usage,
        fmt::format("--min-role: there is no role {}; {}", role,
                    near.empty() ? fmt::format("roles are {}", fmt::join(lab::roles(), ", "))
                                 : fmt::format("did you mean {}?", near)));
  }
  std::optional<int64_t> count;
  if (equals != std::string::npos) count = text::whole_number(text.substr(equals + 1));
  if (!count || *count < 0)
    throw Error(ErrorKind::usage,
                fmt::format("--min-role {}: takes a role and how many heads must have it, as in "
                            "induction=1",
                            text));
  return {role, *count};
}

// Those of the file, and over them those of the command line.
lab::Limits limits_of(const CheckOptions& options) {
  lab::Limits limits = options.file.empty() ? lab::Limits{} : lab::read_limits(options.file);
  const lab::Limits& own = options.limits;
  const auto prefer = [](auto& field, const auto& given) {
    if (given) field = given;
  };
  prefer(limits.min_effective_heads, own.min_effective_heads);
  prefer(limits.max_sink_rate, own.max_sink_rate);
  prefer(limits.max_redundant, own.max_redundant);
  prefer(limits.max_loss, own.max_loss);
  prefer(limits.tolerance, own.tolerance);
  prefer(limits.max_loss_increase, own.max_loss_increase);
  for (const std::string& text : options.min_role) {
    const auto [role, count] = role_and_count(text);
    limits.min_role[role] = count;
  }
  if (!own.baseline.empty()) limits.baseline = own.baseline;
  if (!limits.baseline.empty() && !limits.tolerance && !limits.max_loss_increase)
    limits.tolerance = kTolerance;
  if (limits.baseline.empty() && (limits.tolerance || limits.max_loss_increase))
    throw Error(ErrorKind::usage,
                fmt::format("{} is against an earlier report: give it with --baseline",
                            limits.tolerance ? "--tolerance" : "--max-loss-increase"));
  if (!lab::any(limits) && options.save.empty())
    throw Error(ErrorKind::usage,
                "nothing to check: give a limit, as in --max-sink-rate 0.5, or --save FILE to keep "
                "today's numbers as a baseline");
  return limits;
}

// Counts without decimals.
std::string shown(double value) {
  const bool count = value == std::floor(value) && std::abs(value) < 1e6;
  return count ? fmt::format("{:.0f}", value) : report::significant(value);
}

std::string values_of(const lab::Ruling& ruling) {
  return fmt::format("{}{} {} {}", ruling.value ? shown(*ruling.value) : "undefined",
                     ruling.baseline ? fmt::format(" (was {})", shown(*ruling.baseline)) : "",
                     ruling.at_least ? "≥" : "≤", shown(ruling.limit));
}

std::string places_of(const lab::Ruling& ruling) {
  std::vector<std::string> names;
  for (const lab::Place& place : ruling.where) names.push_back(name_of(place));
  return fmt::format("{}", fmt::join(names, " "));
}

Json json_of(const CheckOptions& options, const lab::Vitals& vitals,
             const std::vector<lab::Ruling>& rulings, const std::vector<std::string>& notes,
             bool passed) {
  const auto number = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? Json(*value) : Json();
  };
  Json json = {{"schema", "headlight.check/1"},
               {"model", options.data.input.model.string()},
               {"examples", vitals.examples},
               {"loss", number(vitals.loss)},
               {"passed", passed}};
  json["rules"] = Json::array();
  for (const lab::Ruling& ruling : rulings) {
    Json& entry = json["rules"].emplace_back();
    entry = {{"rule", ruling.rule},
             {"passed", ruling.holds},
             {"value", number(ruling.value)},
             {"limit", ruling.limit},
             {"at", ruling.at_least ? "least" : "most"}};
    if (ruling.baseline) entry["baseline"] = *ruling.baseline;
    entry["where"] = Json::array();
    for (const lab::Place& place : ruling.where) {
      Json& where = entry["where"].emplace_back();
      where = {{"stack", place.stack}, {"layer", place.layer}};
      if (!place.heads.empty()) where["heads"] = place.heads;
    }
  }
  json["notes"] = notes;
  json["layers"] = Json::array();
  for (const lab::Vitals::Layer& layer : vitals.layers)
    json["layers"].push_back(lab::to_json(layer));
  return json;
}

std::string junit_of(const CheckOptions& options, const std::vector<lab::Ruling>& rulings) {
  std::vector<report::JunitCase> cases;
  for (const lab::Ruling& ruling : rulings)
    cases.push_back(
        {ruling.rule,
         ruling.holds ? "" : fmt::format("{}  {}", values_of(ruling), places_of(ruling))});
  return report::junit_xml("headlight check " + options.data.input.model.string(), cases);
}

// The loss, if the data has one; why not, otherwise.
std::optional<double> loss_of(const CheckOptions& options, const model::Transformer& model,
                              bool needed, uint64_t seed, std::vector<std::string>& notes) {
  try {
    const ModelData data = read_data(options.data, model, seed);
    if (!data.note.empty()) notes.push_back(data.note);
    return mean_loss(
        losses_of(data.model, batches_of(data.model.config, data.examples, kBatchTokens)));
  } catch (const Error& error) {
    if (needed || !options.data.labels.empty()) throw;
    if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::bad_input) throw;
    notes.push_back(fmt::format("There is no loss: {}.", error.what()));
    return {};
  }
}

// A head that looks at everything alike is no sink, but on a few tokens it counts as one.
void mark_short_texts(const lab::Inspection& found, std::vector<std::string>& notes) {
  for (const lab::InspectedLayer& layer : found.layers) {
    const auto uniform = layer.analysis.uniform_baseline.first_token_mass;
    if (!uniform || *uniform <= 0.3) continue;
    notes.push_back(
        fmt::format("The texts are so short that uniform attention would give the first token {}: "
                    "sinks mean little here, longer lines tell more.",
                    report::significant(*uniform)));
    return;
  }
}

lab::Vitals measure(const CheckOptions& options, const lab::Limits& limits, const Common& common,
                    std::vector<std::string>& notes) {
  const model::Transformer model = load_model(options.data);
  lab::Vitals vitals;
  {
    const ModelData data = read_examples(options.data, model);
    if (!data.note.empty()) notes.push_back(data.note);
    lab::InspectSettings settings;
    settings.flow = false;
    settings.start_token = data.start_token;
    settings.seed = common.seed;
    settings.threads = thread_count(common);
    report::ProgressLine progress({.quiet = common.quiet});
    const auto advanced = [&](int64_t done, int64_t all) {
      progress.update({.done = double(done), .total = double(all), .unit = "layers"});
    };
    const lab::Inspection found = lab::inspect(data.model, data.examples, settings, advanced);
    vitals = vitals_of(found);
    if (limits.max_sink_rate || limits.tolerance) mark_short_texts(found, notes);
  }
  const bool needed = limits.max_loss || limits.max_loss_increase;
  vitals.loss = loss_of(options, model, needed, common.seed, notes);
  return vitals;
}

void check(const CheckOptions& options, const Common& common) {
  need_cpu(common, "check");
  at::set_num_threads(thread_count(common));
  const lab::Limits limits = limits_of(options);
  std::optional<lab::Vitals> baseline;
  if (!limits.baseline.empty()) baseline = lab::read_vitals(limits.baseline);

  std::vector<std::string> notes;
  const lab::Vitals vitals = measure(options, limits, common, notes);
  if (baseline && baseline->examples != vitals.examples)
    notes.push_back(
        fmt::format("The baseline is of {}, this is of {}: other data, so part of the "
                    "difference is theirs.",
                    report::counted(baseline->examples, "example"),
                    report::counted(vitals.examples, "example")));
  const std::vector<lab::Ruling> rulings =
      lab::judge(vitals, limits, baseline ? &*baseline : nullptr);
  const auto broken = std::count_if(rulings.begin(), rulings.end(),
                                    [](const lab::Ruling& ruling) { return !ruling.holds; });

  const Json json = json_of(options, vitals, rulings, notes, broken == 0);
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (!options.save.empty()) tensorfile::write_file_atomically(options.save, text);
  if (!options.junit.empty())
    tensorfile::write_file_atomically(options.junit, junit_of(options, rulings));
  if (common.json) {
    fmt::print("{}", text);
  } else {
    const int width = report::terminal_width();
    report::Table table{.columns = {{.title = "result", .right = false},
                                    {.title = "rule", .right = false},
                                    {.title = "value and limit", .right = false},
                                    {.title = "where", .right = false}},
                        .rows = {}};
    for (const lab::Ruling& ruling : rulings)
      table.rows.push_back(
          {ruling.holds ? "ok" : "BROKEN", ruling.rule, values_of(ruling), places_of(ruling)});
    fmt::print(
        "{}: {}{}\n\n", report::printable(options.data.input.model.string()),
        report::counted(vitals.examples, "example"),
        vitals.loss ? fmt::format(", loss {} nats", report::significant(*vitals.loss, 4)) : "");
    if (!rulings.empty()) fmt::print("{}\n", report::render(table, width, report::use_colour()));
    for (const std::string& note : notes)
      fmt::print("{}\n", report::wrapped(report::printable(note), width));
  }
  std::fflush(stdout);
  if (broken > 0)
    throw Error(ErrorKind::check_failed,
                fmt::format("{} of {} broken", broken,
                            report::counted(static_cast<int64_t>(rulings.size()), "rule")));
}

std::string a_limit(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < 0)
    return fmt::format("{} is not a number from 0 on", text);
  return "";
}

}  // namespace

void add_check(CLI::App& program, const Common& common) {
  auto options = std::make_shared<CheckOptions>();
  lab::Limits& limits = options->limits;
  CLI::App* verb = program.add_subcommand(
      "check", "A gate for continuous integration: fails when heads collapse or the loss grows");
  add_data_options(*verb, options->data);
  const std::string group = "What must hold";
  const auto number = [&](const char* name, std::optional<double>& value, const char* text) {
    verb->add_option(name, value, text)->check(a_limit)->type_name("X")->group(group);
  };
  number("--min-effective-heads", limits.min_effective_heads,
         "Different heads that every layer's heads amount to");
  number("--max-sink-rate", limits.max_sink_rate,
         "Share of heads with more than 0.3 of their attention on the first token");
  verb->add_option("--max-redundant", limits.max_redundant,
                   "Heads that look where another head of their layer looks")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N")
      ->group(group);
  verb->add_option("--min-role", options->min_role,
                   "How many heads have a role at least, as in induction=1,previous=2")
      ->delimiter(',')
      ->type_name("ROLE=N")
      ->group(group);
  number("--max-loss", limits.max_loss, "Nats per label");
  verb->add_option("--limits", options->file, "All of these in a .toml or .json file")
      ->type_name("FILE")
      ->group(group);
  const std::string before = "Against an earlier report";
  verb->add_option("--baseline", limits.baseline, "What --save, or inspect --json, wrote")
      ->type_name("FILE")
      ->group(before);
  verb->add_option(
          "--tolerance", limits.tolerance,
          "How much worse effective heads, sinks, twins and loss may be, as a share [0.05]")
      ->check(a_limit)
      ->type_name("X")
      ->group(before);
  verb->add_option("--max-loss-increase", limits.max_loss_increase, "Nats per label")
      ->check(a_limit)
      ->type_name("X")
      ->group(before);
  verb->add_option("--save", options->save, "Keep the numbers as a baseline")->type_name("FILE");
  verb->add_option("--junit", options->junit, "The results as JUnit XML")->type_name("FILE");
  verb->footer(
      "Example:\n"
      "  headlight check model/ --data lines.txt --max-sink-rate 0.5 --max-redundant 4");
  verb->callback([options, &common] { check(*options, common); });
}

}  // namespace headlight::app
