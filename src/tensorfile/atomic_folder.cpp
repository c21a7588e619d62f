#include "tensorfile/atomic_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "headlight/error.h"

namespace headlight::tensorfile {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& path, const char* doing, const std::error_code& error) {
  const bool full = error == std::errc::no_space_on_device;
  throw Error(full ? ErrorKind::no_resources : ErrorKind::bad_input,
              fmt::format("{}: cannot {}: {}{}", path.string(), doing, error.message(),
                          full ? "; free some space or write to another place" : ""));
}

// "model/" names the folder without the slash; "." has no name that could be given to another.
fs::path named(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

void need_fresh_folder(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) return;
  const bool folder = fs::is_directory(status);
  if (folder && fs::is_empty(path, error) && !error) return;
  if (folder && error) fail(path, "look into the folder", error);
  throw Error(ErrorKind::bad_input,
              fmt::format("{}: is there already{}; give the name of a new folder, or remove it",
                          path.string(), folder ? " and not empty" : ""));
}

AtomicFolder::AtomicFolder(const fs::path& path) : path_(named(path)) {
  need_fresh_folder(path_);
  std::error_code error;
  fs::create_directories(path_.parent_path(), error);
  if (error) fail(path_.parent_path(), "create the folder", error);
  fs::path temporary =
      path_.parent_path() / fmt::format(".{}.{}.tmp", path_.filename().string(), ::getpid());
  fs::create_directory(temporary, error);
  if (error) fail(path_, "create a folder there", error);
  temporary_ = std::move(temporary);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  std::error_code error;
  fs::rename(temporary_, path_, error);  // takes the place of an empty folder, and of that only
  if (error) fail(path_, "give the folder its name", error);
  temporary_.clear();
}

void copy_files(const fs::path& from, const fs::path& to, bool (*wanted)(const fs::path&)) {
  std::error_code error;
  fs::recursive_directory_iterator entry(from, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    if (path.filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
      continue;
    }
    const fs::path within = path.lexically_relative(from);
    std::error_code unreadable;
    if (!entry->is_regular_file(unreadable) || !wanted(within)) continue;
    const fs::path target = to / within;
    fs::create_directories(target.parent_path(), error);
    if (fs::exists(target)) continue;
    const fs::path part = target.string() + ".part";
    if (!error) fs::copy_file(path, part, fs::copy_options::overwrite_existing, error);
    if (!error) fs::rename(part, target, error);
    if (error) fail(path, "copy it", error);
  }
  if (error) fail(from, "read the folder", error);
}

}  // namespace headlight::tensorfile
