// Folders that are either whole under their final name or not there at all.
#pragma once

#include <filesystem>

namespace headlight::tensorfile {

// A temporary folder beside the final one; commit() gives it its name, and without that it
// disappears with all that is in it. Throws Error (bad_input) where something is in the way or the
// folder cannot be made.
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::filesystem::path& path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::filesystem::path& path() const { return temporary_; }  // where to write until then
  void commit();

 private:
  std::filesystem::path path_, temporary_;
};

// Throws Error (bad_input) if something other than an empty folder has that name already, so that
// long work need not be done to find out.
void need_fresh_folder(const std::filesystem::path& path);

// The plain files of a folder and of those below it into another, except hidden ones and those that
// `wanted` refuses, given their path within the folder; links count as what they point at, except
// links to folders; files that are there stay. Throws Error: bad_input, or no_resources if the disk
// is full.
void copy_files(const std::filesystem::path& from, const std::filesystem::path& to,
                bool (*wanted)(const std::filesystem::path&));

}  // namespace headlight::tensorfile
