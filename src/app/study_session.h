// Carrying out a study in front of a person: progress, Ctrl-C, report, table and verdict.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "app/verb_options.h"
#include "study/folder.h"

namespace headlight::app {

// Throws Error (usage) for any device but the CPU.
void refuse_other_devices(const Common& common);

struct Session {
  std::string verb;  // "headlight study": what goes on with it
  int64_t shard = 0, shards = 1;
};

// Does the runs that are missing, writes report.json, report.html and curves.csv, and prints the
// result. Throws Error (interrupted) after Ctrl-C, saying how to go on. What fails before its first
// checkpoint leaves no new folder. Returns the report.
nlohmann::ordered_json carry_out_session(const study::Folder& folder, study::Tasks tasks,
                                         const Session& session, const Common& common);

}  // namespace headlight::app
