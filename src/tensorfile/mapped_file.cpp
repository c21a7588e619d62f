#include "tensorfile/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "headlight/error.h"

namespace headlight::tensorfile {
namespace {

[[noreturn]] void refuse_file(const std::filesystem::path& path, const char* why) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: cannot be read: {}", path.string(), why));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // Not blocking, so that a pipe without a writer is refused and not waited for.
  const int handle = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (handle < 0) refuse_file(path, std::strerror(errno));
  struct stat status = {};
  const char* problem = nullptr;
  if (::fstat(handle, &status) != 0) {
    problem = std::strerror(errno);
  } else if (S_ISDIR(status.st_mode)) {
    problem = "it is a folder; give the name of a file in it";
  } else if (!S_ISREG(status.st_mode)) {
    problem = "it is not a regular file";
  } else if (status.st_size > 0) {  // an empty file cannot be mapped, and need not be
    size_ = static_cast<size_t>(status.st_size);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, handle, 0);
    if (data_ == MAP_FAILED) problem = std::strerror(errno);
  }
  ::close(handle);
  if (problem != nullptr) refuse_file(path, problem);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path) {
  return std::make_shared<const MappedFile>(path);
}

}  // namespace headlight::tensorfile
