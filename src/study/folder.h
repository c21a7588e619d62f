// A study on disk:
//   study.json            settings and matrix library, which decide every number; the command
//   runs/NAME/            one run: checkpoint, and result.json once it is done
//   vocabulary/           of what `train` learns; each run has a copy
//   report.json, report.html, curves.csv
#pragma once

#include <filesystem>
#include <string>

#include "study/settings.h"

namespace headlight::study {

constexpr const char* kVocabulary = "vocabulary";

struct Folder {
  std::filesystem::path path;
  Settings settings;  // completed
  std::string linear_backend;
  std::string command;  // that began it, for the report
  bool is_new = false;  // there was no such folder before
};

// Creates the folder, or takes up the same study in it again. Throws Error (bad_input) if it
// holds another study or something else, or cannot be written.
Folder create(const std::filesystem::path& path, const Settings& settings,
              const std::string& command);

// Takes a new folder away again if no run has left a file in it: what failed before its first
// checkpoint shall not stand in the way of the next try.
void remove_if_empty(const Folder& folder);

// Takes up a study that was begun.
Folder open(const std::filesystem::path& path);

// Joins parts of one study (shards) into a new folder; returns it. Throws Error (bad_input) if the
// parts are of different studies.
Folder merge(const std::vector<std::filesystem::path>& parts, const std::filesystem::path& path);

}  // namespace headlight::study
