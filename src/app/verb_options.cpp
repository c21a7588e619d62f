#include "app/verb_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <thread>

#include "headlight/error.h"

namespace headlight::app {

void add_common_options(CLI::App& verb, Common& common) {
  const std::string group = kEveryVerbGroup;
  verb.add_flag("--json", common.json, "Print one JSON object and nothing else")->group(group);
  verb.add_flag("-q,--quiet", common.quiet, "No progress on stderr")->group(group);
  verb.add_option("--threads", common.threads, "Threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096))
      ->group(group);
  // The library would take -1 for the largest number there is.
  const auto refuse_signs = [](const std::string& text) -> std::string {
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) return "";
    return fmt::format("{} is not a whole number from 0 to {}", text,
                       std::numeric_limits<uint64_t>::max());
  };
  verb.add_option("--seed", common.seed, "Where random numbers start")
      ->capture_default_str()
      ->check(refuse_signs)
      ->group(group);
  verb.add_option("--device", common.device, "cpu or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->group(group);
  // Said twice, the last one holds, so that a script can add to a command.
  for (CLI::Option* option : verb.get_options())
    if (option->get_expected_max() == 1) option->take_last();
}

void need_cpu(const Common& common, const std::string& verb) {
  if (common.device != "cpu")
    throw Error(ErrorKind::usage, fmt::format("{} runs on the CPU; leave --device away", verb));
}

void print_json(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int thread_count(const Common& common) {
  if (common.threads > 0) return common.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::string shell_word(const std::string& word) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string command_of(const CLI::App& verb) {
  static const std::set<std::string> left_out = {"--help",  "--out",     "--resume",
                                                 "--merge", "--shard",   "--json",
                                                 "--quiet", "--threads", "--device"};
  std::string command = "headlight " + verb.get_name();
  for (const CLI::Option* option : verb.get_options()) {
    if (option->count() == 0 || left_out.contains(option->get_name())) continue;
    if (!option->get_positional()) command += " " + option->get_name();
    if (option->get_expected_max() == 0) continue;
    for (const std::string& value : option->results()) command += " " + shell_word(value);
  }
  return command;
}

std::string nearest_word(const std::string& word, const std::vector<std::string>& known) {
  std::string nearest;
  size_t fewest = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    // Levenshtein distance, one row at a time.
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t substituted = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < fewest) {
      fewest = row.back();
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace headlight::app
