#include "tensorfile/atomic_file.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "temporary_folder.h"
#include "tensorfile/json_file.h"

namespace headlight::tensorfile {
namespace {

using headlight::testing::error_of;
using headlight::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

size_t files_in(const TemporaryFolder& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder.path()), {}));
}

// While it lives, no file can grow beyond `bytes`: what a full disk looks like to a program.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_ = {};
  void (*old_handler_)(int) = nullptr;
};

TEST(AtomicFile, AFileIsWrittenWholeAndReplacesTheOldOne) {
  const TemporaryFolder folder;
  const auto path = folder.file("a.json", "old and longer");
  write_file_atomically(path, "new");
  EXPECT_EQ(read_text_file(path), "new");
  write_file_atomically(folder / "empty", "");
  EXPECT_EQ(read_text_file(folder / "empty"), "");
  EXPECT_EQ(files_in(folder), 2u);
}

TEST(AtomicFile, WithoutACommitTheOldFileStaysAndNothingIsLeft) {
  const TemporaryFolder folder;
  const auto path = folder.file("a", "old");
  {
    AtomicFile file(path, 3);
    file.write("new");
    EXPECT_EQ(read_text_file(path), "old");
  }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(AtomicFile, AFullDiskLeavesTheOldFileAndNamesTheBytesNeeded) {
  const TemporaryFolder folder;
  const auto path = folder.file("a", "old");
  {
    const FileSizeLimit limit(1000);
    EXPECT_THAT(error_of(ErrorKind::no_resources,
                         [&] { write_file_atomically(path, std::string(5000, 'x')); }),
                AllOf(HasSubstr(path.string()), HasSubstr("5000 bytes")));
  }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(AtomicFile, MoreThanTheDiskHasIsRefusedBeforeTheFirstByte) {
  const TemporaryFolder folder;
  EXPECT_THAT(
      error_of(ErrorKind::no_resources, [&] { AtomicFile(folder / "a", int64_t{1} << 60); }),
      HasSubstr("1152921504606846976 bytes"));
  EXPECT_EQ(files_in(folder), 0u);
}

TEST(AtomicFile, ASymbolicLinkStaysALink) {
  const TemporaryFolder folder;
  const auto target = folder.file("target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  write_file_atomically(folder / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_text_file(target), "new");
}

TEST(AtomicFile, WhatIsNotAFileIsNotReplaced) {
  const TemporaryFolder folder;
  const auto refusal = [](const std::filesystem::path& path) {
    return error_of(ErrorKind::bad_input, [&] { write_file_atomically(path, "x"); });
  };
  EXPECT_THAT(refusal(folder.path()), HasSubstr("is a folder"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("is a device"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_THAT(refusal(folder / "missing/a"), HasSubstr("missing/a"));
}

TEST(TextFile, WhatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { read_text_file(folder / "none"); }),
              AllOf(HasSubstr("none"), HasSubstr("No such file")));
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { read_text_file(folder.path()); }),
              HasSubstr("it is a folder"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { read_text_file(folder / "pipe"); }),
              HasSubstr("not a regular file"));
  const auto path = folder.file("long", "12345");
  EXPECT_THAT(error_of(ErrorKind::bad_input, [&] { read_text_file(path, 4); }),
              HasSubstr("has 5 bytes; at most 4"));
}

TEST(JsonFile, TroubleIsNamedWithItsPlace) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) {
    const auto path = folder.file("a.json", text);
    return error_of(ErrorKind::bad_input, [&] { read_json_file(path); });
  };
  EXPECT_EQ(read_json_file(folder.file("b.json", R"({"a":[1,{"a":2}],"b":{"a":3}})"))["b"]["a"], 3);
  EXPECT_THAT(refusal("{\"a\": 1,\n]"), AllOf(HasSubstr("a.json"), HasSubstr("line 2")));
  EXPECT_THAT(refusal("{\"a\": 1,\n]"), ::testing::Not(HasSubstr("json.exception")));
  EXPECT_THAT(refusal("{\"a\": [1"), HasSubstr("column 9: unexpected end of input"));
  EXPECT_THAT(refusal(""), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal("\xff"), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal(std::string("{}\0{", 4)), HasSubstr("byte 2 is 0"));
  EXPECT_THAT(refusal(R"({"a":1,"a":2})"), HasSubstr("the key \"a\" twice"));
  EXPECT_THAT(refusal(std::string(1000000, '[')), HasSubstr("deeper than 64"));
}

}  // namespace
}  // namespace headlight::tensorfile
