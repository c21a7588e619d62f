// Options that every verb takes, and how the program talks about itself.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace headlight::app {

struct Common {
  bool json = false;   // exactly one JSON object on stdout, nothing else there
  bool quiet = false;  // no progress and no remarks on stderr
  int threads = 0;     // 0: one per core
  uint64_t seed = 0;
  std::string device = "cpu";
};

inline constexpr const char* kEveryVerbGroup = "Every verb";

// Adds --json, --quiet, --threads, --seed and --device to a verb.
void add_common_options(CLI::App& verb, Common& common);

// Throws Error (usage) unless the device is the CPU: `verb` has no other.
void need_cpu(const Common& common, const std::string& verb);

// Prints one line of JSON. Tokens of byte-level vocabularies may hold halves of characters: bytes
// that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& json);

// Threads to use: common.threads, or one per core.
int thread_count(const Common& common);

// A word as a shell takes it: quoted where it must be.
std::string shell_word(const std::string& word);

// The shortest command that says the same as what was given to the verb, without what only says
// where results go. Defaults may change between versions; report.json holds every value.
std::string command_of(const CLI::App& verb);

// "did you mean …?" for a word that is not among the known ones; empty if none is near.
std::string nearest_word(const std::string& word, const std::vector<std::string>& known);

}  // namespace headlight::app
