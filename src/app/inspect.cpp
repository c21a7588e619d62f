#include "app/inspect.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/model_input.h"
#include "headlight/error.h"
#include "heads/analysis_json.h"
#include "lab/inspection.h"
#include "lab/sampled_rows.h"
#include "model/run.h"
#include "report/head_grid.h"
#include "report/number.h"
#include "report/page.h"
#include "report/progress.h"
#include "report/terminal.h"
#include "tensorfile/atomic_file.h"

namespace headlight::app {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  InputOptions input;
  lab::InspectSettings settings;
  std::string weight = "attention";
  std::filesystem::path html, svg;
};

constexpr int64_t kMapCells = 96;    // a side of the pictures on the page
constexpr int64_t kRowsUpTo = 8192;  // tokens

std::vector<std::string> notes(const ModelInput& input, const lab::Inspection& found,
                               const lab::InspectSettings& settings) {
  std::vector<std::string> all;
  if (!input.note.empty()) all.push_back(input.note);
  if (settings.by_norm)
    all.push_back(
        "Weights are attention times the length of what each value adds (Kobayashi et al. 2020): "
        "in roles, sinks, intervals and pictures. Twins, effective heads and flow are those of "
        "attention.");
  if (found.probe_tokens > 0)
    all.push_back(
        fmt::format("Induction and duplicate scores of roles come from {} random tokens "
                    "repeated 4 times, 3 draws.",
                    found.probe_tokens));
  if (!found.many_steps)
    all.push_back(
        fmt::format("Walks of many steps (published mixing, threshold times, fidelity) "
                    "are left out beyond {} tokens; --steps-up-to changes that.",
                    settings.steps_up_to));
  if (!found.all_rows)
    all.push_back(
        fmt::format("Beyond {} tokens the numbers are those of {} queries, {} runs of {} spread "
                    "evenly, and information flow is left out; --rows-up-to changes that.",
                    std::max(settings.rows_up_to, lab::kSampledRows), lab::kSampledRows,
                    lab::kSampledRows / lab::kRunOfRows, lab::kRunOfRows));
  all.push_back("Roles are rules of thumb for a picture, not findings.");
  return all;
}

Json json_of(const InspectOptions& options, const lab::Inspection& found,
             const std::vector<std::string>& remarks, const ModelInput& input, bool maps) {
  Json json = {{"schema", "headlight.inspect/1"},
               {"model", options.input.model.string()},
               {"examples", found.examples}};
  if (found.examples == 1 && !input.words.empty()) json["tokens"] = input.words[0].tokens;
  if (found.examples == 1 && !input.target_words.empty())
    json["target_tokens"] = input.target_words[0].tokens;
  json["weight"] = options.weight;
  json["random_repeat"] = found.probe_tokens;
  json["sentences"] = report::telling_sentences(found);
  json["notes"] = remarks;
  json["layers"] = Json::array();
  for (const lab::InspectedLayer& layer : found.layers) {
    json["layers"].push_back(lab::to_json(layer));
    if (maps) json["layers"].back()["map"] = layer.map;
  }
  return json;
}

// What was read, and what was found on it.
struct Inspected {
  ModelInput input;
  lab::Inspection found;
  std::vector<std::string> remarks;
};

// Writes the page and the picture that are asked for.
Inspected inspected(InspectOptions& options, const Common& common) {
  options.settings.threads = thread_count(common);
  options.settings.by_norm = options.weight == "norm";
  options.settings.seed = common.seed;
  if (!options.html.empty()) options.settings.map_cells = kMapCells;
  const model::Transformer model = load_model(options.input);
  Inspected all{.input = read_model_input(options.input, model)};
  const ModelInput& input = all.input;
  if (!input.words.empty() && input.words[0].starts_special)
    options.settings.start_token = input.inputs.tokens[0][0].item<int64_t>();
  report::ProgressLine progress({.quiet = common.quiet});
  all.found = lab::inspect(
      model, examples_of(input, model.config), options.settings, [&](int64_t done, int64_t layers) {
        progress.update({.done = double(done), .total = double(layers), .unit = "layers"});
      });
  progress.finish();
  all.remarks = notes(input, all.found, options.settings);
  if (!options.html.empty())
    tensorfile::write_file_atomically(
        options.html, report::inspect_page(json_of(options, all.found, all.remarks, input, true)));
  if (!options.svg.empty())
    tensorfile::write_file_atomically(options.svg, report::head_grid_svg(all.found));
  return all;
}

void inspect(InspectOptions options, const Common& common) {
  need_cpu(common, "inspect");
  at::set_num_threads(thread_count(common));
  const auto [input, found, remarks] = inspected(options, common);
  if (common.json) {
    print_json(json_of(options, found, remarks, input, false));
    return;
  }
  const int width = report::terminal_width();
  fmt::print("{}: {}\n\n", report::printable(options.input.model.string()),
             report::counted(found.examples, "example"));
  fmt::print("{}\n", report::head_grid(found, width, report::use_colour()));
  for (const std::string& sentence : report::telling_sentences(found))
    fmt::print("{}\n", report::wrapped(sentence, width));
  fmt::print("\n");
  for (const std::string& remark : remarks) fmt::print("{}\n", report::wrapped(remark, width));
  if (!options.html.empty()) fmt::print("\nPage: {}\n", report::printable(options.html.string()));
  if (!options.svg.empty()) fmt::print("\nPicture: {}\n", report::printable(options.svg.string()));
}

}  // namespace

void write_pair_page(const std::filesystem::path& model, const std::string& source,
                     const std::string& target, const std::filesystem::path& page,
                     const Common& common) {
  InspectOptions options;
  options.input.model = model;
  options.input.texts = {{"the line", source}};
  options.input.targets = {{"what was written", target}};
  options.html = page;
  inspected(options, common);
}

void add_inspect(CLI::App& program, const Common& common) {
  auto options = std::make_shared<InspectOptions>();
  lab::InspectSettings& settings = options->settings;
  settings.rows_up_to = kRowsUpTo;
  CLI::App* verb = program.add_subcommand(
      "inspect", "What every head of a model does on your text: roles, twins, sinks, flow");
  add_input_options(*verb, options->input);
  verb->add_option("--layers", settings.layers, "Only these layers of every stack, as in 0,3,5")
      ->delimiter(',')
      ->type_name("LIST");
  verb->add_option("--random-repeat", settings.random_repeat,
                   "Random tokens that are repeated to find induction heads; 0: none")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->type_name("N");
  verb->add_option("--weight", options->weight,
                   "attention, or norm: times the length of what each value adds")
      ->capture_default_str()
      ->check(CLI::IsMember({"attention", "norm"}))
      ->type_name("KIND");
  verb->add_option("--steps-up-to", settings.steps_up_to,
                   "Tokens up to which walks of many steps are followed (mixing, fidelity)")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N");
  verb->add_option(
          "--rows-up-to", settings.rows_up_to,
          "Tokens up to which every query is read; of longer texts 1,024 are. 0: always all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N");
  verb->add_option("--html", options->html,
                   "Also a page to read it on, with attention maps: one offline file")
      ->type_name("FILE");
  verb->add_option("--svg", options->svg, "Also the grid of roles as a picture")->type_name("FILE");
  verb->footer(
      "Example:\n"
      "  headlight inspect model/ --html heads.html \\\n"
      "    --text \"He didn't trust him because he knew the secret\"");
  verb->callback([options, &common] { inspect(*options, common); });
}

}  // namespace headlight::app
