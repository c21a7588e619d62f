#include "study/folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "headlight/error.h"
#include "model/linear.h"
#include "study/run.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/json_file.h"

namespace headlight::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchema = "headlight.study-settings/1";

nlohmann::json contents(const Folder& folder) {
  return {{"schema", kSchema},
          {"command", folder.command},
          {"settings", folder.settings},
          {"linear_backend", folder.linear_backend}};
}

// What decides every number. The same study may have been begun with other words.
nlohmann::json identity(const Folder& folder) {
  nlohmann::json json = folder.settings;
  json["linear_backend"] = folder.linear_backend;
  return json;
}

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: {}", path.string(), why));
}

// The first setting in which two studies differ, with both values.
std::string difference(const nlohmann::json& there, const nlohmann::json& here) {
  for (const auto& [key, value] : here.items())
    if (!there.contains(key) || there.at(key) != value)
      return fmt::format("{} is {} there and {} here", key,
                         there.contains(key) ? there.at(key).dump() : "absent", value.dump());
  return "the settings are not the same";
}

void make_folder(const fs::path& path, bool learns_vocabulary) {
  std::error_code problem;
  fs::create_directories(path / "runs", problem);
  if (learns_vocabulary && !problem) fs::create_directories(path / kVocabulary, problem);
  if (problem) refuse(path, "cannot create this folder: " + problem.message());
}

void write(const Folder& folder) {
  tensorfile::write_file_atomically(folder.path / "study.json", contents(folder).dump(2) + "\n");
}

}  // namespace

Folder open(const fs::path& path) {
  const fs::path file = path / "study.json";
  if (!fs::exists(file))
    refuse(path, "holds no study (no study.json); begin one with headlight study --out");
  const nlohmann::json json = tensorfile::read_json_file(file);
  Folder folder{.path = path};
  try {
    if (json.at("schema") != kSchema) refuse(file, "written by another version of headlight");
    json.at("settings").get_to(folder.settings);
    json.at("linear_backend").get_to(folder.linear_backend);
    folder.command = json.value("command", "headlight study");
  } catch (const nlohmann::json::exception& problem) {
    refuse(file, fmt::format("not the settings of a study: {}", tensorfile::json_problem(problem)));
  }
  return folder;
}

Folder create(const fs::path& path, const Settings& settings, const std::string& command) {
  if (fs::exists(path / "study.json")) {
    Folder found = open(path);
    const nlohmann::json there = found.settings, here = settings;
    if (there != here)
      refuse(path, fmt::format("holds another study: {}. Choose another --out, or continue that "
                               "one with --resume {}",
                               difference(there, here), path.string()));
    return found;
  }
  if (fs::exists(path) && (!fs::is_directory(path) || !fs::is_empty(path)))
    refuse(path, "exists and is not a study; choose an empty or new folder with --out");
  const bool is_new = !fs::exists(path);
  make_folder(path, !settings.data.kind.empty());
  Folder folder{.path = path,
                .settings = settings,
                .linear_backend = model::linear_backend(),
                .command = command,
                .is_new = is_new};
  write(folder);
  return folder;
}

void remove_if_empty(const Folder& folder) {
  if (!folder.is_new) return;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path / "runs", ignored))
    if (!entry.is_directory()) return;
  for (const char* made : {"runs", kVocabulary}) fs::remove_all(folder.path / made, ignored);
  fs::remove(folder.path / "study.json", ignored);
  fs::remove(folder.path, ignored);
}

Folder merge(const std::vector<fs::path>& parts, const fs::path& path) {
  if (parts.empty()) throw Error(ErrorKind::usage, "--merge needs the folders of the parts");
  const Folder first = open(parts.front());
  for (const fs::path& part : parts) {
    const Folder other = open(part);
    if (identity(first) != identity(other))
      refuse(part, fmt::format("is of another study than {}: {}", parts.front().string(),
                               difference(identity(first), identity(other))));
  }
  const std::vector<RunKey> keys = plan(first.settings);
  const auto missing = std::count_if(keys.begin(), keys.end(), [&](const RunKey& key) {
    return std::none_of(parts.begin(), parts.end(), [&](const fs::path& part) {
      return fs::exists(part / "runs" / run_name(first.settings, key) / "result.json");
    });
  });
  if (missing > 0)
    refuse(parts.front(), fmt::format("{} of {} runs are in none of the parts; finish every part "
                                      "with --resume PART first, or name the missing ones",
                                      missing, keys.size()));
  Folder joined = create(path, first.settings, first.command);
  joined.linear_backend = first.linear_backend;
  write(joined);
  if (fs::exists(parts.front() / kVocabulary))
    fs::copy(parts.front() / kVocabulary, path / kVocabulary,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  for (const fs::path& part : parts)
    for (const auto& run : fs::directory_iterator(part / "runs"))
      // A run that only one part finished must win over one that another began.
      if (fs::exists(run.path() / "result.json"))
        fs::copy(run.path(), path / "runs" / run.path().filename(),
                 fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  return joined;
}

}  // namespace headlight::study
