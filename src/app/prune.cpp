#include "app/prune.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <memory>

#include "app/interrupt.h"
#include "app/model_data.h"
#include "app/version.h"
#include "headlight/error.h"
#include "lab/prune.h"
#include "model/checkpoint.h"
#include "report/number.h"
#include "report/progress.h"
#include "report/table.h"
#include "report/terminal.h"
#include "tensorfile/atomic_folder.h"
#include "tensorfile/json_file.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using lab::Pruning;
using model::HeadPlace;
using model::PrunedKind;

struct PruneOptions {
  DataOptions data;
  std::string heads, keep;
  lab::PruneSettings settings;
  std::string command;
};

bool has_data(const DataOptions& o) {
  const InputOptions& in = o.input;
  return !o.data.empty() || in.text || in.tokens || !in.file.empty() || !in.lines.empty() ||
         !in.inputs.empty() || !in.pairs.empty();
}

// `note` takes what was done that the user did not ask for.
lab::PruneData read(const PruneOptions& options, uint64_t seed, std::string& note) {
  const bool trains = options.settings.finetune.steps > 0;
  if (!has_data(options.data)) {
    if (options.heads.empty())
      throw Error(ErrorKind::usage,
                  "which heads can go is decided on data: give --data FILE, or name the heads with "
                  "--heads LIST");
    if (trains)
      throw Error(ErrorKind::usage, "--finetune needs something to learn from: give --data FILE");
    return {.model = model::load(options.settings.from)};
  }
  lab::PruneData all{.model = load_model(options.data)};
  ModelData data = read_data(options.data, all.model, seed);
  note = data.note;
  if (all.model.config != data.model.config) all.readout = data.model.output;
  if (trains && all.readout)
    throw Error(ErrorKind::usage,
                "--finetune trains the model alone, and the read-out of --inputs is no part of it; "
                "give a checkpoint with a head on it");
  if (options.heads.empty() || trains)
    all.examples = lab::held_out(data.examples);
  else
    all.examples.measured_on = std::move(data.examples);
  if (data.unit == "pair" && all.examples.measured_on.size() < 2)
    throw Error(ErrorKind::bad_input,
                "the fifth of the pairs that is held out must be two at least, or there is nothing "
                "to tell apart; give ten pairs or more");
  return all;
}

// "60%" of all heads, rounded up, or a number of them.
int64_t kept_heads(const std::string& keep, int64_t heads) {
  const bool share = keep.ends_with('%');
  double value = -1;  // stays so where no number is read
  const char* end = std::from_chars(keep.data(), keep.data() + keep.size(), value).ptr;
  const auto read = static_cast<size_t>(end - keep.data());
  const bool whole = share || value == std::floor(value);
  if (read + (share ? 1 : 0) != keep.size() || !whole || !(value > 0) ||
      value > (share ? 100 : static_cast<double>(heads)))
    throw Error(ErrorKind::usage, fmt::format("--keep {}: give a share such as 60%, or a number of "
                                              "heads from 1 to {}",
                                              keep, heads));
  if (!share) return static_cast<int64_t>(value);
  return static_cast<int64_t>(std::ceil(value / 100 * static_cast<double>(heads) - 1e-9));
}

std::string how_chosen(const lab::PruneSettings& settings, const Pruning& found) {
  if (settings.heads) return "";
  if (!settings.redundant)
    return settings.kind == PrunedKind::uniform || !found.greedy
               ? "Heads went by the size of their gate gradients."
               : "Heads went one by one, always the one that the loss missed least.";
  if (found.removed.empty()) return "No head attends as another one of its layer does.";
  return fmt::format(
      "{} as another one that stays. The output of {} is merged into that one's, "
      "where this left a smaller loss than dropping it.",
      found.removed.size() == 1 ? "1 head attended"
                                : fmt::format("{} heads attended", found.removed.size()),
      found.merged.size());
}

std::vector<std::string> notes(const PruneOptions& options, const lab::PruneData& data,
                               const Pruning& found, const std::string& first) {
  const lab::PruneSettings& settings = options.settings;
  std::vector<std::string> all;
  const auto add = [&](std::string note) {
    if (!note.empty()) all.push_back(std::move(note));
  };
  add(first);
  add(how_chosen(settings, found));
  if (found.held_back > 0)
    add(
        fmt::format("{} more could go by the examples that heads were chosen on, but not by those "
                    "held out.",
                    report::counted(found.held_back, "head")));
  const size_t chosen_on = data.examples.chosen_on.size();
  const size_t measured_on = data.examples.measured_on.size();
  const std::string did = settings.heads ? "The model was trained"
                          : settings.finetune.steps == 0
                              ? "Heads were chosen"
                              : "Heads were chosen and the model trained";
  if (measured_on == 0)
    add("Without --data there is no loss; logits were compared on random inputs.");
  else if (!data.examples.apart)
    add(did + " and the loss measured on the only example.");
  else if (chosen_on > 0)
    add(fmt::format("{} on {} of {} examples; the loss is that of {}.", did, chosen_on,
                    chosen_on + measured_on,
                    measured_on == 1 ? "one held out"
                                     : fmt::format("the {} held out, every fifth", measured_on)));
  else
    add(fmt::format("The loss is that of {}.",
                    report::counted(static_cast<int64_t>(measured_on), "example")));
  return all;
}

Json json_of(const std::vector<HeadPlace>& heads) {
  Json list = Json::array();
  for (const HeadPlace& head : heads)
    list.push_back({{"stack", head.stack}, {"layer", head.layer}, {"head", head.head}});
  return list;
}

Json json_of(const PruneOptions& options, const lab::PruneData& data, const Pruning& found,
             const std::vector<std::string>& remarks) {
  const auto loss = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  return {{"schema", "headlight.prune/1"},
          {"made", made_json()},
          {"command", options.command},
          {"model", options.settings.from.string()},
          {"out", options.settings.out.string()},
          {"kind", model::name_of(options.settings.kind)},
          {"removed", json_of(found.removed)},
          {"merged", json_of(found.merged)},
          {"heads_before", found.before.heads},
          {"heads_after", found.after.heads},
          {"parameters_before", found.before.parameters},
          {"parameters_after", found.after.parameters},
          {"bytes_before", found.before.bytes},
          {"bytes_after", found.after.bytes},
          {"loss_before", loss(found.before.loss)},
          {"loss_after", loss(found.after.loss)},
          {"forward_seconds_before", found.before.forward_seconds},
          {"forward_seconds_after", found.after.forward_seconds},
          {"max_logit_difference", found.difference.largest},
          {"examples_chosen_on", data.examples.chosen_on.size()},
          {"examples_measured_on", data.examples.measured_on.size()},
          {"notes", remarks}};
}

void print(const PruneOptions& options, const Pruning& found,
           const std::vector<std::string>& remarks) {
  const int width = report::terminal_width();
  const auto say = [&](const std::string& text) {
    fmt::print("{}\n", report::wrapped(text, width));
  };
  report::Table table{.columns = {{.title = "", .right = false},
                                  {.title = "before"},
                                  {.title = "after"},
                                  {.title = "change"}}};
  const auto row = [&](const char* name, double before, double after, auto text) {
    table.rows.push_back({name, text(before), text(after),
                          before > 0 ? report::points((after - before) / before) + " %" : ""});
  };
  const auto whole = [](double value) { return report::whole(static_cast<int64_t>(value)); };
  const lab::Cost &before = found.before, &after = found.after;
  row("heads", double(before.heads), double(after.heads), whole);
  row("parameters", double(before.parameters), double(after.parameters), whole);
  row("weights", double(before.bytes), double(after.bytes),
      [](double value) { return report::bytes(static_cast<uint64_t>(value)); });
  if (before.loss) {
    // A share says nothing of a loss that was nearly 0.
    const double grown = *after.loss - *before.loss;
    table.rows.push_back({"loss (nats)", report::significant(*before.loss, 4),
                          report::significant(*after.loss, 4),
                          (grown < 0 ? "−" : "+") + report::significant(std::abs(grown), 3)});
  }
  row("forward", before.forward_seconds, after.forward_seconds, report::duration);
  say(fmt::format("{}: {} removed", report::printable(options.settings.from.string()),
                  report::counted(static_cast<int64_t>(found.removed.size()), "head")));
  fmt::print("\n{}\n", report::render(table, width, report::use_colour()));
  std::string names;
  for (const HeadPlace& head : found.removed)
    names += (names.empty() ? "Removed: " : ", ") + name_of(head);
  if (!names.empty()) say(names);
  say(fmt::format(
      "Logits are those of the whole model with these heads' gates at zero: they differ "
      "by {:.1e} at most, and the largest is {:.3g}.",
      found.difference.largest, found.difference.scale));
  for (const std::string& remark : remarks) say(remark);
  fmt::print("\nWritten: {}\n", report::escaped(options.settings.out.string()));
}

std::string type_of(const fs::path& model) {
  const nlohmann::json config = tensorfile::read_json_file(model / "config.json");
  return config.is_object() && config.contains("model_type") && config["model_type"].is_string()
             ? config["model_type"].get<std::string>()
             : "";
}

void prune(PruneOptions options, const Common& common) {
  need_cpu(common, "prune");
  at::set_num_threads(thread_count(common));
  lab::PruneSettings& settings = options.settings;
  settings.from = options.data.input.model;
  settings.seed = settings.finetune.seed = common.seed;
  settings.threads = thread_count(common);
  // What can be refused without reading weights or data.
  tensorfile::need_fresh_folder(settings.out);
  settings.type = type_of(settings.from);
  model::check_kind(settings.kind, settings.type);
  std::string note;
  const lab::PruneData data = read(options, common.seed, note);
  const model::Config& config = data.model.config;
  if (!options.heads.empty()) settings.heads = model::parse_heads(options.heads, config);
  if (!options.keep.empty())
    settings.keep = kept_heads(options.keep, static_cast<int64_t>(model::all_heads(config).size()));
  watch_for_interrupt();
  report::ProgressLine progress({.quiet = common.quiet});
  const Pruning found = lab::prune(settings, data, [&](double done, double all, const char* unit) {
    progress.update({.done = done, .total = all, .unit = unit});
    if (interrupted()) throw Error(ErrorKind::interrupted, "stopped; nothing was written");
  });
  progress.finish();
  const std::vector<std::string> remarks = notes(options, data, found, note);
  if (common.json)
    print_json(json_of(options, data, found, remarks));
  else
    print(options, found, remarks);
}

}  // namespace

void add_prune(CLI::App& program, const Common& common) {
  auto options = std::make_shared<PruneOptions>();
  lab::PruneSettings& settings = options->settings;
  CLI::App* verb = program.add_subcommand(
      "prune", "A smaller model without the heads that it needs least, measured and checked");
  add_data_options(*verb, options->data);
  verb->add_option("--out", settings.out, "Where the pruned model goes: a new folder")
      ->required()
      ->type_name("FOLDER");
  const std::string which = "Which heads go, one of";
  verb->add_option("--keep", options->keep,
                   "Keep those that the loss on --data needs most: 60%, or a number of heads")
      ->type_name("N")
      ->group(which);
  verb->add_option("--heads", options->heads,
                   "Remove these: self.0.3,cross.1.2 or @FILE with a JSON list")
      ->type_name("LIST")
      ->group(which);
  verb->add_option("--max-loss-increase", settings.max_loss_increase,
                   "Remove as many as leave the loss on --data at most X nats larger")
      ->check(CLI::Range(0.0, 1e9))
      ->type_name("X")
      ->group(which);
  verb->add_flag("--redundant", settings.redundant,
                 "Keep one of each cluster of heads that attend alike on --data")
      ->group(which);
  const std::map<std::string, PrunedKind> kinds = {{"compact", PrunedKind::compact},
                                                   {"uniform", PrunedKind::uniform},
                                                   {"zeroed", PrunedKind::zeroed}};
  verb->add_option("--kind", settings.kind,
                   "compact: smaller, for headlight; uniform: as many heads in every layer, for "
                   "transformers; zeroed: the same shapes, for anything")
      ->transform(CLI::CheckedTransformer(kinds))
      ->default_str("compact")
      ->type_name("KIND");
  verb->add_option("--finetune", settings.finetune.steps,
                   "Train what is left for N steps on the part of --data that is not held out")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->type_name("N");
  verb->add_option("--learning-rate", settings.finetune.learning_rate, "Of --finetune; falls to 0")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e3))
      ->type_name("X");
  verb->footer(
      "Example:\n"
      "  headlight prune model/ --out smaller/ --keep 60% --data lines.txt");
  verb->callback([options, verb, &common] {
    const lab::PruneSettings& s = options->settings;
    if (!options->keep.empty() + !options->heads.empty() + s.max_loss_increase.has_value() +
            s.redundant !=
        1)
      throw Error(ErrorKind::usage,
                  "say which heads go, with exactly one of --keep, --heads, --max-loss-increase "
                  "and --redundant");
    options->command = command_of(*verb);
    prune(*options, common);
  });
}

}  // namespace headlight::app
