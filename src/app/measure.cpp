#include "app/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "app/measure_tables.h"
#include "headlight/error.h"
#include "heads/analysis_json.h"
#include "heads/attention_files.h"
#include "heads/gates_case.h"
#include "heads/statistics_case.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;

struct MeasureOptions {
  fs::path path;
  heads::AttentionFileOptions file;
  std::string sink = "last";
  std::vector<int64_t> layer_sizes;
  int64_t horizon = 100;
  int64_t step_limit = 200;
  int64_t memory_mb = 256;
  int64_t jensen_shannon_up_to = 1024;
  int64_t chance = -1;  // draws; negative: as many as are cheap
};

std::optional<int64_t> sink_of(const std::string& text) {
  if (text == "last") return std::nullopt;
  size_t used = 0;
  int64_t index = -1;
  try {
    index = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used != text.size() || index < 0)
    throw Error(ErrorKind::usage,
                "--sink is \"last\" or the index of a token (from 0), not \"" + text + "\"");
  return index;
}

std::vector<std::vector<int64_t>> layers_of(const std::vector<int64_t>& sizes) {
  std::vector<std::vector<int64_t>> layers;
  int64_t next = 0;
  for (int64_t size : sizes) {
    if (size < 1 || size > 1'000'000)
      throw Error(ErrorKind::usage,
                  "--layers lists how many heads each layer has, for example 8,8");
    auto& layer = layers.emplace_back();
    for (int64_t h = 0; h < size; ++h) layer.push_back(next++);
  }
  return layers;
}

std::vector<heads::LoadedSequence> load(const MeasureOptions& options, const Common& common) {
  std::vector<heads::LoadedSequence> sequences;
  if (fs::is_directory(options.path)) {
    sequences.push_back(heads::read_attention_case(options.path));
  } else {
    if (!fs::exists(options.path))
      throw Error(ErrorKind::bad_input,
                  options.path.string() + ": there is no such file or folder");
    heads::AttentionFileOptions file = options.file;
    file.sink = sink_of(options.sink);
    file.layers = layers_of(options.layer_sizes);
    sequences = heads::read_attention_file(options.path, file);
  }
  for (heads::LoadedSequence& sequence : sequences) {
    sequence.options.horizon = options.horizon;
    sequence.options.step_limit = options.step_limit;
    sequence.options.memory_budget = options.memory_mb << 20;
    sequence.options.jensen_shannon_up_to = options.jensen_shannon_up_to;
    sequence.options.threads = thread_count(common);
  }
  return sequences;
}

// The same rows with their weights permuted among allowed keys: what mixing heads gains by itself.
std::optional<Chance> chance_level(const MeasureOptions& options, const Common& common,
                                   const std::vector<heads::LoadedSequence>& sequences) {
  int64_t draws = options.chance;
  if (draws < 0) {
    int64_t longest = 1;
    for (const auto& sequence : sequences) longest = std::max(longest, sequence.attention.keys);
    constexpr int64_t kCheap = 10 * 256 * 256;  // ten draws of 256 tokens
    draws = std::clamp<int64_t>(kCheap / longest / longest, 1, 10);
  }
  Chance chance{.draws = draws, .layers = {}};
  std::vector<std::vector<heads::LayerFlow>> flows;
  for (int64_t draw = 0; draw < draws; ++draw)
    for (const heads::LoadedSequence& sequence : sequences) {
      heads::AnalysisOptions permuted = sequence.options;
      permuted.permute_keys = true;
      permuted.seed = common.seed + static_cast<uint64_t>(draw);
      permuted.redundancy = false;
      permuted.norm_weighted = false;
      heads::Analysis one = heads::analyse(sequence.attention, permuted);
      flows.resize(one.flow.size());
      for (size_t layer = 0; layer < flows.size(); ++layer)
        flows[layer].push_back(std::move(one.flow[layer]));
    }
  for (const auto& layer : flows) chance.layers.push_back(heads::spread_over_sequences(layer));
  if (chance.layers.empty()) return std::nullopt;
  return chance;
}

// A file of probabilities is not what it should be if one of them is no number. (Scores that are
// none, in a case folder, are a finding about the model: that head's metrics are null.)
template <typename Result>
void require_numbers(const MeasureOptions& options, const Result& result) {
  if (result.bad_heads.empty() || fs::is_directory(options.path)) return;
  const heads::BadHead& bad = result.bad_heads.front();
  throw Error(ErrorKind::bad_input,
              fmt::format("{}: layer {}, head {}, row {} holds a NaN or an infinity",
                          options.path.string(), bad.layer, bad.head, bad.row));
}

void measure_sequences(const MeasureOptions& options, const Common& common) {
  const std::vector<heads::LoadedSequence> sequences = load(options, common);
  std::optional<Chance> chance;
  if (options.chance > 0 || (options.chance < 0 && !common.json))
    chance = chance_level(options, common, sequences);
  const auto with_chance = [&](nlohmann::ordered_json json) {
    if (chance) {
      json["chance"]["draws"] = chance->draws;
      for (const auto& layer : chance->layers)
        json["chance"]["flow"].push_back(heads::to_json(layer));
    }
    return json;
  };
  if (sequences.size() == 1) {
    const heads::Analysis analysis = heads::analyse(sequences[0].attention, sequences[0].options);
    require_numbers(options, analysis);
    if (common.json)
      print_json(with_chance(heads::to_json(analysis)));
    else
      fmt::print("{}", tables_of(analysis, sequences[0].options, chance));
    return;
  }
  heads::Pool pool;
  for (const heads::LoadedSequence& sequence : sequences)
    pool.add(sequence.attention, sequence.options);
  const heads::PooledAnalysis analysis = pool.finish();
  require_numbers(options, analysis);
  if (common.json)
    print_json(with_chance(heads::to_json(analysis)));
  else
    fmt::print("{}", tables_of(analysis, sequences[0].options, chance));
}

// Errors of the analysis know head and row, but not the file that they came from.
void measure_attention(const MeasureOptions& options, const Common& common) {
  try {
    measure_sequences(options, common);
  } catch (const Error& error) {
    const std::string message = error.what(), path = options.path.string();
    if (error.kind() != ErrorKind::bad_input || message.find(path) != std::string::npos) throw;
    const bool short_row = message.find(" sums to ") != std::string::npos;
    throw Error(error.kind(), path + ": " + message + (short_row ? " (--lengths, --no-op)" : ""));
  }
}

// Other kinds of case folders have few numbers: the same object, indented for people.
void print_object(const nlohmann::ordered_json& json, const Common& common) {
  fmt::print("{}\n", common.json ? json.dump() : json.dump(2));
}

void measure(const MeasureOptions& options, const Common& common) {
  if (fs::is_directory(options.path)) {
    if (!fs::exists(options.path / "case.json"))
      throw Error(ErrorKind::bad_input, options.path.string() +
                                            ": a folder needs a case.json that says what its "
                                            "arrays are");
    if (heads::is_statistics_case(options.path)) {
      print_object(heads::to_json(heads::read_statistics_case(options.path)), common);
      return;
    }
    if (heads::is_gates_case(options.path)) {
      print_object(heads::to_json(heads::read_gates_case(options.path)), common);
      return;
    }
  }
  measure_attention(options, common);
}

}  // namespace

void add_measure(CLI::App& program, const Common& common) {
  auto options = std::make_shared<MeasureOptions>();
  CLI::App* verb = program.add_subcommand(
      "measure", "What every head does, for attention that came from anywhere");
  verb->add_option("PATH", options->path,
                   ".npy, .npz or .safetensors with [heads, N, N] or [batch, heads, N, N] "
                   "probabilities, or a folder with a case.json")
      ->required();
  heads::AttentionFileOptions& file = options->file;
  verb->add_option("--array", file.name, "Name of the array in an archive that holds several");
  verb->add_flag("--causal", file.causal, "Queries see keys up to their own position");
  verb->add_flag("--cross", file.cross, "Queries and keys are different tokens");
  verb->add_flag("--no-op", file.may_sum_to_less,
                 "Rows may sum to less than 1 (a learned sink); the rest is no_op_mass");
  verb->add_option("--lengths", file.lengths, "Real tokens of each sequence; padding follows")
      ->delimiter(',');
  verb->add_option("--sink", options->sink, "Where information should arrive: last, or a token")
      ->capture_default_str()
      ->type_name("TOKEN");
  verb->add_option("--window", file.window, "Queries see keys at a distance below this, 1 or more")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  verb->add_option("--offset", file.query_offset, "Position of the first query (a cached chunk)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30));
  verb->add_option("--layers", options->layer_sizes, "Heads of each layer, for example 8,8")
      ->delimiter(',');
  verb->add_option("--separators", file.separators, "Key positions of separator tokens")
      ->delimiter(',');
  verb->add_option("--exclude", file.exclude, "Key positions left out of one confidence")
      ->delimiter(',');
  verb->add_option("--tokens", file.tokens, "Token ids: adds duplicate and induction scores")
      ->delimiter(',');
  verb->add_option("--horizon", options->horizon, "Steps of published mixing time and fidelity")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb->add_option("--step-limit", options->step_limit,
                   "Steps of threshold times beyond 2,048 tokens")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb->add_option("--memory", options->memory_mb, "Megabytes for matrices that are kept")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30));
  verb->add_option("--jensen-shannon-up-to", options->jensen_shannon_up_to,
                   "Longest sequence for which that divergence is computed")
      ->capture_default_str();
  verb->add_option("--chance", options->chance,
                   "Permuted draws for the chance level of synergy (default: as many as are "
                   "cheap; with --json none unless given)")
      ->check(CLI::NonNegativeNumber);
  verb->footer("Example:\n  headlight measure attention.npy --causal --lengths 61,48");
  verb->callback([options, &common] { measure(*options, common); });
}

}  // namespace headlight::app
