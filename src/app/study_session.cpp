#include "app/study_session.h"

#include <fmt/format.h>

#include "app/interrupt.h"
#include "app/version.h"
#include "headlight/error.h"
#include "report/number.h"
#include "report/page.h"
#include "report/progress.h"
#include "report/study_report.h"
#include "report/table.h"
#include "report/terminal.h"
#include "study/decision.h"
#include "study/study.h"
#include "tensorfile/atomic_file.h"

namespace headlight::app {
namespace {

using Json = nlohmann::ordered_json;

std::string text_or_dash(const Json& number, std::string (*text)(double, int), int digits) {
  return number.is_number() ? text(number.get<double>(), digits) : "–";
}

// "previous 3, mixed 1", the most frequent first.
std::string roles_text(const Json& counts) {
  std::vector<std::pair<int64_t, std::string>> roles;
  for (const auto& [role, count] : counts.items()) roles.emplace_back(count.get<int64_t>(), role);
  std::sort(roles.begin(), roles.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::string text;
  for (const auto& [count, role] : roles)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", role, count);
  return text;
}

std::string fixed(double number, int digits) { return fmt::format("{:.{}f}", number, digits); }

report::Table table_of(const Json& report, const Json& task) {
  const bool by_loss = task["measure"] == "nats";
  report::Table table;
  table.columns = {{.title = "heads"},
                   {.title = "parameters", .drop = 4},
                   {.title = "test loss", .drop = by_loss ? 0 : 7},
                   {.title = "accuracy", .drop = by_loss ? 7 : 0},
                   {.title = "95 % interval", .drop = 8},
                   {.title = "steps to target", .drop = 9},
                   {.title = "ms/step", .drop = 6},
                   {.title = "hitting time", .drop = 3},
                   {.title = "mixing (published)", .drop = 1},
                   {.title = "fidelity", .drop = 2},
                   {.title = "effective heads", .drop = 5},
                   {.title = "roles", .right = false, .drop = 1}};
  // By the task's own measure, as BLEU: beside the number of heads.
  const bool scored = task["score"].is_string();
  if (scored) table.columns.insert(table.columns.begin() + 1, {.title = task["score"], .drop = 9});
  for (const Json& row : report["summary"]) {
    if (row["task"] != task["name"]) continue;
    const Json& steps = row["steps_to_target_mean"];
    const int64_t reached = row["reached"], of = row["of"];
    std::string target = steps.is_number() ? fmt::format("{:.0f}", steps.get<double>()) : "–";
    if (reached < of) target += fmt::format(" ({}/{})", reached, of);
    table.rows.push_back(
        {fmt::to_string(row["heads"].get<int64_t>()), report::whole(row["parameters"]),
         text_or_dash(row["loss_mean"], report::significant, by_loss ? 4 : 3),
         report::percent(row["accuracy_mean"]),
         by_loss ? fmt::format("{:.3f} to {:.3f}", row["loss_low"].get<double>(),
                               row["loss_high"].get<double>())
                 : fmt::format("{:.1f} to {:.1f}", 100 * row["accuracy_low"].get<double>(),
                               100 * row["accuracy_high"].get<double>()),
         target, text_or_dash(row["milliseconds_per_step"], report::significant, 3),
         text_or_dash(row["hitting_mean"], report::significant, 3),
         text_or_dash(row["mixing_published"], report::significant, 3),
         text_or_dash(row["fidelity"], report::significant, 2),
         text_or_dash(row["effective_heads"], report::significant, 3), roles_text(row["roles"])});
    if (!scored) continue;
    std::string score = text_or_dash(row["score_mean"], fixed, 1);
    if (const Json& sd = row["score_sd"]; sd.is_number())
      score += fmt::format(" ± {:.1f}", sd.get<double>());
    table.rows.back().insert(table.rows.back().begin() + 1, std::move(score));
  }
  return table;
}

void print_result(const Json& report) {
  const int width = report::terminal_width();
  for (const Json& task : report["settings"]["tasks"]) {
    const std::string name = task["name"];
    fmt::print(
        "\n{}\n{}",
        report::wrapped(fmt::format("{}: {}", name, task["about"].get<std::string>()), width),
        report::render(table_of(report, task), width, report::use_colour()));
    fmt::print("{}\n", report::wrapped("→ " + report["verdict"][name].get<std::string>(), width));
    if (const std::string note = task["note"]; !note.empty())
      fmt::print("{}\n", report::wrapped(note, width));
  }
}

Json write_report(const study::Folder& folder, const std::vector<study::Material>& material,
                  const std::vector<study::FinishedRun>& runs) {
  const study::Decision decision = study::decide(folder.settings, runs);
  Json report = report::study_report(
      {folder.settings, material, runs, decision, made_json(), folder.command});
  tensorfile::write_file_atomically(folder.path / "curves.csv",
                                    report::curves_csv(folder.settings, runs));
  tensorfile::write_file_atomically(folder.path / "report.html", report::study_page(report));
  tensorfile::write_file_atomically(folder.path / "report.json", report.dump() + "\n");
  return report;
}

std::string how_to_go_on(const study::Folder& folder, const Session& session) {
  std::string command = session.verb + " --resume " + shell_word(folder.path.string());
  if (session.shards > 1)
    command += fmt::format(" --shard {}/{}", session.shard + 1, session.shards);
  return command;
}

// All runs with progress in front of a person. Throws Error (interrupted) after Ctrl-C.
std::vector<study::FinishedRun> train_all(const study::Folder& folder,
                                          const std::vector<study::Material>& material,
                                          const Session& session, const Common& common) {
  watch_for_interrupt();

  study::Work work;
  work.jobs = thread_count(common);
  work.shard = session.shard;
  work.shards = session.shards;
  work.stop = interrupted;
  std::optional<std::vector<study::FinishedRun>> runs;
  {
    report::ProgressLine line({.quiet = common.quiet});
    work.progress = [&](const study::Progress& p) {
      std::string text = fmt::format("{}/{} runs; {}: step {}, loss {}", p.runs_done, p.runs, p.run,
                                     p.step, report::significant(p.loss));
      if (p.accuracy >= 0) text += fmt::format(", {} right", report::percent(p.accuracy));
      line.update({.done = p.share * double(p.runs),
                   .total = double(p.runs),
                   .unit = "",
                   .text = text,
                   .seconds_left = p.seconds_left});
    };
    runs = study::carry_out(folder, material, work);
  }
  if (!runs)
    throw Error(ErrorKind::interrupted,
                "stopped; what is done is kept. Go on with: " + how_to_go_on(folder, session));
  return std::move(*runs);
}

}  // namespace

void refuse_other_devices(const Common& common) {
  if (common.device != "cpu")
    throw Error(ErrorKind::usage,
                "--device cuda: studies of small models run on the CPU, several at a time");
}

Json carry_out_session(const study::Folder& folder, study::Tasks tasks, const Session& session,
                       const Common& common) {
  std::vector<study::Material> material;
  std::vector<study::FinishedRun> runs;
  try {
    material = study::prepare(folder.settings, std::move(tasks), folder.path);
    runs = train_all(folder, material, session, common);
  } catch (...) {
    study::remove_if_empty(folder);
    throw;
  }
  if (session.shards > 1) {
    if (!common.quiet)
      fmt::print(stderr,
                 "Part {} of {} is done. When all are: headlight study --merge PART… --out DIR\n",
                 session.shard + 1, session.shards);
    if (!common.json) return {};
  }
  const Json report = write_report(folder, material, runs);
  if (common.json) {
    fmt::print("{}\n", report.dump());
  } else {
    print_result(report);
    fmt::print("\nReport: {}\n", report::escaped((folder.path / "report.html").string()));
  }
  return report;
}

}  // namespace headlight::app
