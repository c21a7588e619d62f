#include "app/bench.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "headlight/error.h"
#include "report/number.h"
#include "report/progress.h"
#include "report/table.h"
#include "report/terminal.h"
#include "speed/attention.h"
#include "speed/in_turns.h"
#include "speed/peaks.h"
#include "speed/tokenizing.h"
#include "speed/training_step.h"
#include "tensorfile/atomic_file.h"

namespace headlight::app {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  std::string work;
  std::vector<std::string> shapes, directions = {"forward", "backward"}, dtypes = {"fp32", "bf16"};
  std::vector<int64_t> heads = {1, 4, 8, 16};
  std::vector<std::string> models = {"published"}, peers = {"eager", "compile"};
  fs::path python = HEADLIGHT_PEER_PYTHON, tokenizer, file, csv;
  bool quick = false, describe = false;
};

// The count that was asked for, or one and all.
std::vector<int> thread_counts(const Common& common) {
  if (common.threads > 0) return {common.threads};
  const int all = thread_count(common);
  return all > 1 ? std::vector<int>{1, all} : std::vector<int>{1};
}

std::vector<speed::NamedShape> chosen_shapes(const BenchOptions& options) {
  std::vector<speed::NamedShape> chosen;
  std::vector<std::string> names;
  for (const speed::NamedShape& shape : speed::standard_shapes()) names.push_back(shape.name);
  for (const std::string& name : options.shapes.empty() ? names : options.shapes) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end())
      throw Error(ErrorKind::usage, fmt::format("--shapes: there is no {}; there are {}", name,
                                                fmt::join(names, ", ")));
    chosen.push_back(speed::standard_shapes()[static_cast<size_t>(found - names.begin())]);
  }
  return chosen;
}

struct Peak {
  double gflops = 0, gigabytes = 0;
};

Json described(const std::map<int, Peak>& peaks) {
  Json json = {{"schema", "headlight.bench/1"}, {"work", "attention"},
               {"machine", speed::machine()},   {"isa", attention_isa()},
               {"peaks", Json::array()},        {"shapes", Json::object()}};
  for (const auto& [threads, peak] : peaks)
    json["peaks"].push_back(
        {{"threads", threads}, {"gflops", peak.gflops}, {"gigabytes_per_second", peak.gigabytes}});
  for (const auto& [name, s, causal] : speed::standard_shapes())
    json["shapes"][name] = {{"batch", s.batch},     {"heads", s.heads}, {"kv_heads", s.kv_heads},
                            {"queries", s.queries}, {"keys", s.keys},   {"dim", s.head_dim},
                            {"causal", causal}};
  return json;
}

// Rows of one work, ours first.
std::vector<Json> attention_rows(const speed::AttentionWork& work, const Peak& peak, bool quick) {
  std::vector<std::string> names{"headlight"};
  std::vector<std::function<void()>> steps{speed::our_attention(work)};
  if (auto peer = speed::libtorch_attention(work)) {
    names.push_back("pytorch");
    steps.push_back(std::move(peer));
  }
  const std::vector<speed::Times> times = speed::in_turns(steps, quick ? 0.6 : 6);
  std::vector<Json> rows;
  for (size_t i = 0; i < names.size(); ++i) {
    Json row = {{"shape", work.of.name},
                {"direction", work.backward ? "backward" : "forward"},
                {"dtype", work.dtype},
                {"threads", work.threads},
                {"implementation", names[i]},
                {"milliseconds", times[i].median * 1e3},
                {"fastest_milliseconds", times[i].fastest * 1e3},
                {"gflops", speed::operations(work) / times[i].median / 1e9}};
    // Of the fastest round, because the peaks are of theirs.
    if (work.of.shape.queries == 1)
      row["share_of_bandwidth"] = speed::bytes_read(work) / times[i].fastest / 1e9 / peak.gigabytes;
    else
      row["share_of_peak"] = speed::operations(work) / times[i].fastest / 1e9 / peak.gflops;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string csv_of(const Json& rows) {
  std::vector<std::string> columns;
  for (const Json& row : rows)
    for (const auto& [name, value] : row.items())
      if (std::ranges::find(columns, name) == columns.end()) columns.push_back(name);
  std::string text = fmt::format("{}\n", fmt::join(columns, ","));
  for (const Json& row : rows) {
    std::vector<std::string> cells;
    for (const std::string& name : columns) {
      if (!row.contains(name))
        cells.emplace_back();
      else
        cells.push_back(row[name].is_string() ? row[name].get<std::string>() : row[name].dump());
    }
    text += fmt::format("{}\n", fmt::join(cells, ","));
  }
  return text;
}

void finish(const BenchOptions& options, const Common& common, const Json& json,
            const report::Table& table, const std::string& remark) {
  if (!options.csv.empty()) tensorfile::write_file_atomically(options.csv, csv_of(json["rows"]));
  if (common.json) {
    print_json(json);
    return;
  }
  const int width = report::terminal_width();
  fmt::print("{}\n", report::wrapped(remark, width));
  fmt::print("{}", report::render(table, width, report::use_colour()));
}

void bench_attention(const BenchOptions& options, const Common& common) {
  const std::vector<speed::NamedShape> shapes = chosen_shapes(options);
  std::map<int, Peak> peaks;
  for (const int threads : thread_counts(common))
    peaks[threads] = {speed::multiply_add_peak(threads) / 1e9,
                      speed::read_bandwidth(threads) / 1e9};
  Json json = described(peaks);
  if (options.describe) {
    print_json(json);
    return;
  }
  std::vector<speed::AttentionWork> all;
  for (const speed::NamedShape& shape : shapes)
    for (const std::string& direction : options.directions)
      for (const std::string& dtype : options.dtypes)
        for (const auto& [threads, peak] : peaks)
          if (direction == "forward" || shape.shape.queries > 1)
            all.push_back({shape, direction == "backward", dtype, threads});
  json["rows"] = Json::array();
  report::Table table{.columns = {{.title = "shape", .right = false},
                                  {.title = "pass", .right = false},
                                  {.title = "dtype", .right = false},
                                  {.title = "threads"},
                                  {.title = "ms"},
                                  {.title = "GFLOP/s", .drop = 1},
                                  {.title = "of peak"},
                                  {.title = "PyTorch ms"},
                                  {.title = "ratio"}}};
  report::ProgressLine progress({.quiet = common.quiet});
  for (size_t i = 0; i < all.size(); ++i) {
    const speed::AttentionWork& work = all[i];
    progress.update({.done = double(i),
                     .total = double(all.size()),
                     .unit = "measurements",
                     .text = fmt::format("{} {}", work.of.name, work.dtype)});
    const std::vector<Json> rows = attention_rows(work, peaks[work.threads], options.quick);
    const Json& own = rows[0];
    const bool decode = own.contains("share_of_bandwidth");
    const double share = own[decode ? "share_of_bandwidth" : "share_of_peak"];
    const double mine = own["milliseconds"];
    std::vector<std::string> cells = {
        work.of.name,
        own["direction"],
        work.dtype,
        std::to_string(work.threads),
        fmt::format("{:.3f}", mine),
        fmt::format("{:.1f}", own["gflops"].get<double>()),
        fmt::format("{:.0f} %{}", share * 100, decode ? " read" : "")};
    if (rows.size() > 1) {
      const double theirs = rows[1]["milliseconds"];
      cells.push_back(fmt::format("{:.3f}", theirs));
      cells.push_back(fmt::format("{:.2f}", theirs / mine));
    }
    table.rows.push_back(std::move(cells));
    for (const Json& row : rows) json["rows"].push_back(row);
  }
  progress.finish();
  std::string remark = fmt::format("{}, {}.", speed::machine(), attention_isa());
  for (const auto& [threads, peak] : peaks)
    remark += fmt::format(" {}: {:.0f} GFLOP/s, reads {:.1f} GB/s.",
                          report::counted(threads, "thread"), peak.gflops, peak.gigabytes);
  remark +=
      " Medians; PyTorch is this program's libtorch, in turns with ours; ratio: its time over "
      "ours. "
      "`make bench` adds ONNX Runtime and OpenVINO.\n";
  finish(options, common, json, table, remark);
}

void bench_training_step(const BenchOptions& options, const Common& common) {
  Json json = {{"schema", "headlight.bench/1"},
               {"work", "training-step"},
               {"machine", speed::machine()},
               {"rows", Json::array()}};
  std::optional<speed::PyTorch> pytorch;
  const fs::path script = HEADLIGHT_PEER_SCRIPT;
  std::vector<std::string> peers = options.peers;
  std::erase(peers, "none");
  if (!peers.empty() && fs::exists(options.python) && fs::exists(script))
    pytorch.emplace(options.python, script);
  report::Table table{.columns = {{.title = "model", .right = false},
                                  {.title = "heads"},
                                  {.title = "threads"},
                                  {.title = "headlight ms"}}};
  for (const std::string& peer : peers) {
    table.columns.push_back({.title = peer + " ms"});
    table.columns.push_back({.title = "ratio"});
  }
  std::string reasons;
  report::ProgressLine progress({.quiet = common.quiet});
  const std::vector<int> threads = thread_counts(common);
  const auto total = double(options.models.size() * threads.size() * options.heads.size());
  for (const std::string& model : options.models)
    for (const int count : threads)
      for (const int64_t heads : options.heads) {
        progress.update({.done = double(table.rows.size()),
                         .total = total,
                         .unit = "settings",
                         .text = fmt::format("{} with {}", model, report::counted(heads, "head"))});
        const auto times = speed::training_step(
            {model, heads, count}, pytorch ? &*pytorch : nullptr, peers, options.quick ? 2 : 5);
        std::vector<std::string> cells = {model, std::to_string(heads), std::to_string(count)};
        for (const speed::TrainingTime& time : times) {
          const bool own = time.implementation == "headlight";
          if (!time.why.empty()) {
            const std::string reason = fmt::format(" {}: {}.", time.implementation, time.why);
            if (reasons.find(reason) == std::string::npos) reasons += reason;
            cells.insert(cells.end(), {"–", "–"});
            continue;
          }
          json["rows"].push_back(
              {{"model", model},
               {"heads", heads},
               {"threads", count},
               {"implementation", own ? "headlight" : "pytorch " + time.implementation},
               {"milliseconds", time.milliseconds}});
          cells.push_back(fmt::format("{:.2f}", time.milliseconds));
          if (!own)
            cells.push_back(fmt::format("{:.2f}", time.milliseconds / times[0].milliseconds));
        }
        table.rows.push_back(std::move(cells));
      }
  progress.finish();
  finish(options, common, json, table,
         fmt::format("{}. Medians of a step with forward, backward and Adam; ratio: PyTorch's time "
                     "over ours.{}\n",
                     speed::machine(), reasons));
}

void bench_tokenize(const BenchOptions& options, const Common& common) {
  if (options.tokenizer.empty() || options.file.empty())
    throw Error(
        ErrorKind::usage,
        "bench tokenize needs --tokenizer MODEL and --file TEXT: the speed depends on both");
  Json json = {{"schema", "headlight.bench/1"},
               {"work", "tokenize"},
               {"machine", speed::machine()},
               {"rows", Json::array()}};
  report::Table table{
      .columns = {{.title = "threads"}, {.title = "ms"}, {.title = "MB/s"}, {.title = "tokens"}}};
  for (const int threads : thread_counts(common)) {
    const speed::Tokenizing found =
        speed::tokenizing(options.tokenizer, options.file, threads, options.quick ? 3 : 7);
    const double rate = static_cast<double>(found.bytes) / found.seconds / 1e6;
    json["rows"].push_back({{"threads", threads},
                            {"implementation", "headlight"},
                            {"milliseconds", found.seconds * 1e3},
                            {"megabytes_per_second", rate},
                            {"tokens", found.tokens}});
    table.rows.push_back({std::to_string(threads), fmt::format("{:.1f}", found.seconds * 1e3),
                          fmt::format("{:.2f}", rate), std::to_string(found.tokens)});
  }
  finish(options, common, json, table, speed::machine() + ". Medians over the whole file.\n");
}

}  // namespace

void add_bench(CLI::App& program, const Common& common) {
  const auto o = std::make_shared<BenchOptions>();
  CLI::App* verb = program.add_subcommand(
      "bench", "Speed on the standard work, beside PyTorch: attention, training-step, tokenize");
  verb->add_option("WORK", o->work, "attention, training-step or tokenize")
      ->required()
      ->check(CLI::IsMember({"attention", "training-step", "tokenize"}));
  verb->add_option("--shapes", o->shapes, "attention: some of the standard shapes")
      ->delimiter(',')
      ->type_name("LIST");
  verb->add_option("--directions", o->directions, "attention: forward, backward")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"forward", "backward"}))
      ->type_name("LIST");
  verb->add_option("--dtypes", o->dtypes, "attention: fp32, bf16, fp16")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->type_name("LIST");
  verb->add_flag("--describe", o->describe,
                 "attention: the machine, its peaks and the shapes as JSON, without timing them");
  verb->add_option("--heads", o->heads, "training-step: head counts")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->type_name("LIST");
  verb->add_option("--models", o->models, "training-step: published, small, translator")
      ->delimiter(',')
      ->capture_default_str()
      ->type_name("LIST");
  verb->add_option("--peers", o->peers, "training-step: eager, tuned, compile, or none")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"eager", "tuned", "compile", "none"}))
      ->type_name("LIST");
  verb->add_option("--python", o->python, "training-step: an interpreter that has PyTorch")
      ->type_name("PROGRAM");
  verb->add_option("--tokenizer", o->tokenizer, "tokenize: a folder or file with a tokenizer")
      ->type_name("MODEL");
  verb->add_option("--file", o->file, "tokenize: lines of text")->type_name("FILE");
  verb->add_option("--csv", o->csv, "Also the rows as a file")->type_name("FILE");
  verb->add_flag("--quick", o->quick, "Fewer rounds");
  verb->footer(
      "With --threads only that count, otherwise one thread and all cores.\n\nExample:\n"
      "  headlight bench attention --shapes bert512,decode --threads 1\n"
      "  headlight bench training-step --heads 1,16");
  verb->callback([o, &common] {
    if (o->work == "attention") return bench_attention(*o, common);
    if (o->work == "training-step") return bench_training_step(*o, common);
    bench_tokenize(*o, common);
  });
}

}  // namespace headlight::app
