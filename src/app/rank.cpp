#include "app/rank.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "app/interrupt.h"
#include "app/model_data.h"
#include "app/version.h"
#include "headlight/error.h"
#include "lab/ranking_json.h"
#include "report/number.h"
#include "report/page.h"
#include "report/progress.h"
#include "report/ranking_text.h"
#include "report/terminal.h"
#include "tensorfile/atomic_file.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kSecondsBetweenSaves = 60;

struct RankOptions {
  DataOptions data;
  lab::RankSettings settings;
  double tolerance = 0.01;
  fs::path resume, html;
  std::string command;
};

[[noreturn]] void stop(const lab::RankingState& state, uint64_t print, fs::path file,
                       const std::string& command) {
  if (file.empty()) file = fmt::format("headlight-rank-{:016x}.json", print);
  try {
    save(state, print, file);
  } catch (const Error& error) {
    throw Error(ErrorKind::interrupted,
                fmt::format("stopped, and what was done could not be kept: {}; --resume FILE "
                            "names another place",
                            error.what()));
  }
  throw Error(ErrorKind::interrupted,
              fmt::format("stopped; what is done is kept. Go on with: {} --resume {}", command,
                          shell_word(file.string())));
}

// Ranks with progress in front of a person. What is found goes to the --resume file now and then,
// and after Ctrl-C, which throws Error (interrupted).
lab::Ranking ranked(const RankOptions& options, const ModelData& data, const Common& common) {
  using Clock = std::chrono::steady_clock;
  const uint64_t print = lab::fingerprint(data.model, data.examples);
  const fs::path& file = options.resume;
  lab::RankingState state;
  if (!file.empty()) {
    state = lab::load_ranking_state(file, print);
    save(state, print, file);  // that it cannot be written is better said now than at the end
  }
  report::ProgressLine progress({.quiet = common.quiet});
  auto saved = Clock::now();
  const auto advanced = [&](double done, double all) {
    progress.update({.done = done, .total = all, .unit = "losses"});
    if (interrupted()) stop(state, print, file, options.command);
    if (file.empty() ||
        std::chrono::duration<double>(Clock::now() - saved).count() < kSecondsBetweenSaves)
      return;
    save(state, print, file);
    saved = Clock::now();
  };
  const lab::Ranking ranking =
      lab::rank(data.model, data.examples, options.settings, &state, advanced);
  progress.finish();
  if (!file.empty()) save(state, print, file);
  return ranking;
}

std::vector<std::string> notes(const RankOptions& options, const ModelData& data,
                               const lab::Ranking& ranking) {
  std::vector<std::string> all;
  if (!data.note.empty()) all.push_back(data.note);
  const auto heads = static_cast<int64_t>(ranking.heads.size());
  if (!ranking.of_heads.greedy)
    all.push_back(
        fmt::format("The greedy curve of {} takes {} losses and is left out beyond {}; the curve "
                    "is by gate score alone. --greedy {} follows it.",
                    report::counted(heads, "head"), report::whole(heads * (heads + 1) / 2),
                    report::whole(options.settings.greedy_losses), heads * (heads + 1) / 2));
  if (ranking.examples < 2) all.push_back("Intervals need more than one example.");
  return all;
}

Json json_of(const RankOptions& options, const lab::Ranking& ranking,
             const std::vector<std::string>& remarks) {
  Json json = {{"schema", "headlight.rank/1"},
               {"made", made_json()},
               {"command", options.command},
               {"model", options.data.input.model.string()}};
  json.update(lab::to_json(ranking, options.tolerance));
  json["notes"] = remarks;
  return json;
}

void rank(RankOptions options, const Common& common) {
  need_cpu(common, "rank");
  watch_for_interrupt();
  at::set_num_threads(thread_count(common));
  options.settings.seed = common.seed;
  const ModelData data = read_data(options.data, load_model(options.data), common.seed);
  const lab::Ranking ranking = ranked(options, data, common);
  const std::vector<std::string> remarks = notes(options, data, ranking);
  const Json json = json_of(options, ranking, remarks);
  if (!options.html.empty())
    tensorfile::write_file_atomically(options.html, report::rank_page(json));
  if (common.json) {
    print_json(json);
    return;
  }
  const int width = report::terminal_width();
  fmt::print("{}\n\n",
             report::wrapped(fmt::format("{}: {}, {}, loss {} nats",
                                         report::printable(options.data.input.model.string()),
                                         report::counted(ranking.examples, "example"),
                                         report::counted(ranking.scored, "scored label"),
                                         report::significant(ranking.loss, 4)),
                             width));
  fmt::print("{}", report::ranking_text(ranking, options.tolerance, width, report::use_colour()));
  if (!remarks.empty()) fmt::print("\n");
  for (const std::string& remark : remarks) fmt::print("{}\n", report::wrapped(remark, width));
  if (!options.html.empty()) fmt::print("\nPage: {}\n", report::escaped(options.html.string()));
}

}  // namespace

void add_rank(CLI::App& program, const Common& common) {
  auto options = std::make_shared<RankOptions>();
  CLI::App* verb = program.add_subcommand(
      "rank", "How much the loss needs every head: gate gradients beside real removals");
  add_data_options(*verb, options->data);
  verb->add_option("--greedy", options->settings.greedy_losses,
                   "Remove heads greedily if that takes at most N losses: for h heads "
                   "h (h + 1) / 2")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->type_name("N");
  verb->add_option("--tolerance", options->tolerance,
                   "Nats by which the loss may grow for a head to count as free")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e9))
      ->type_name("X");
  verb->add_option("--resume", options->resume,
                   "Keep what is found in this file, and go on from it where it is there")
      ->type_name("FILE");
  verb->add_option("--html", options->html, "Write a page: grid, curves, agreement")
      ->type_name("FILE");
  verb->footer(
      "Example:\n"
      "  headlight rank model/ --data lines.txt --html rank.html");
  verb->callback([options, verb, &common] {
    options->command = command_of(*verb);
    rank(*options, common);
  });
}

}  // namespace headlight::app
