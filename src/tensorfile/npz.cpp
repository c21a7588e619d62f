#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <memory>
#include <set>

#include "headlight/error.h"
#include "tensorfile/atomic_file.h"
#include "tensorfile/mapped_file.h"
#include "tensorfile/npy.h"

namespace headlight::tensorfile {
namespace {

// Deflate cannot do better than 1 : 1032; a claim beyond that is a lie, and found before memory is
// taken for it.
constexpr uint64_t kBestDeflateRatio = 1032;

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;
using Source = std::unique_ptr<zip_source_t, FreeSource>;

[[noreturn]] void refuse_npz(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::bad_input, fmt::format("{}: {}", where, what));
}

std::string error_text(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

// An archive over memory that outlives it.
Archive open_archive(zip_source_t* unowned_source, int flags, const std::string& where) {
  Source source(unowned_source);
  if (!source) throw Error(ErrorKind::no_resources, where + ": no memory to open an archive");
  zip_error_t error;
  zip_error_init(&error);
  Archive archive(zip_open_from_source(source.get(), flags, &error));
  if (!archive) {
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    refuse_npz(where, fmt::format("is not a readable .npz archive: {}", text));
  }
  source.release();  // NOLINT(bugprone-unused-return-value): the archive owns it now
  return archive;
}

zip_stat_t checked_entry(zip_t* archive, uint64_t index, uint64_t& compressed_left,
                         const std::string& file, std::string& where) {
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_stat_index(archive, index, ZIP_FL_ENC_RAW, &stat) != 0) {
    refuse_npz(where, zip_strerror(archive));
  }
  where = fmt::format("{}, entry '{}'", file, stat.name);
  constexpr uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                               ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((stat.valid & kNeeded) != kNeeded) refuse_npz(where, "has an incomplete directory entry");
  if (stat.encryption_method != ZIP_EM_NONE) refuse_npz(where, "is encrypted");
  if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
    refuse_npz(where, fmt::format("has compression method {}; stored and deflated can be read",
                                  stat.comp_method));
  }
  // Entries that share their bytes would multiply a small file without end.
  if (stat.comp_size > compressed_left) {
    refuse_npz(where, "claims more compressed bytes than are left in the archive");
  }
  compressed_left -= stat.comp_size;
  const uint64_t most =
      stat.comp_method == ZIP_CM_STORE ? stat.comp_size : (stat.comp_size + 1) * kBestDeflateRatio;
  if (stat.size > most) {
    refuse_npz(where, fmt::format("claims {} bytes, which {} compressed bytes cannot hold",
                                  stat.size, stat.comp_size));
  }
  return stat;
}

Array read_entry(zip_t* archive, const zip_stat_t& stat, const std::string& where) {
  const std::unique_ptr<zip_file_t, CloseEntry> entry(zip_fopen_index(archive, stat.index, 0));
  if (!entry) refuse_npz(where, zip_strerror(archive));
  auto buffer = std::make_shared<std::vector<std::byte>>();
  // Reads until `size` bytes are there or the entry ends.
  const auto fill = [&](uint64_t size) {
    size_t have = buffer->size();
    buffer->resize(size);
    while (have < size) {
      const int64_t got = zip_fread(entry.get(), buffer->data() + have, size - have);
      if (got < 0) refuse_npz(where, fmt::format("is damaged: {}", zip_file_strerror(entry.get())));
      if (got == 0) refuse_npz(where, fmt::format("ends after {} of {} bytes", have, size));
      have += static_cast<size_t>(got);
    }
  };
  // The header first: what it states bounds the rest.
  constexpr uint64_t kHeader = (uint64_t{1} << 20) + 64;
  fill(std::min<uint64_t>(stat.size, kHeader));
  const uint64_t stated = npy_file_bytes(*buffer, where);
  if (stated != stat.size) {
    refuse_npz(where, fmt::format("has {} bytes, but its .npy header needs {}", stat.size, stated));
  }
  fill(stat.size);
  std::byte beyond;  // reaching the end makes libzip compare the checksum
  const int64_t more = zip_fread(entry.get(), &beyond, 1);
  if (more < 0) refuse_npz(where, fmt::format("is damaged: {}", zip_file_strerror(entry.get())));
  if (more > 0) refuse_npz(where, fmt::format("is longer than the {} bytes it claims", stat.size));
  return parse_npy(*buffer, buffer, where);
}

}  // namespace

std::map<std::string, Array, std::less<>> read_npz(const std::filesystem::path& path) {
  const auto file = map_file(path);
  std::string where = path.string();
  const Archive archive =
      open_archive(zip_source_buffer_create(file->bytes().data(), file->bytes().size(), 0, nullptr),
                   ZIP_RDONLY, where);
  uint64_t compressed_left = file->bytes().size();
  std::map<std::string, Array, std::less<>> result;
  const int64_t entries = zip_get_num_entries(archive.get(), 0);
  for (int64_t i = 0; i < entries; ++i) {
    const zip_stat_t stat = checked_entry(archive.get(), static_cast<uint64_t>(i), compressed_left,
                                          path.string(), where);
    std::string name = stat.name;
    if (!name.ends_with(".npy")) refuse_npz(where, "is not an .npy array");
    name.resize(name.size() - 4);
    if (!result.emplace(name, read_entry(archive.get(), stat, where)).second) {
      refuse_npz(where, "occurs twice");
    }
  }
  return result;
}

void write_npz(const std::filesystem::path& path, std::span<const NamedArray> arrays,
               Compression compression) {
  const std::string where = path.string();
  // Built in memory, so that the file appears whole or not at all.
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  if (target == nullptr) throw Error(ErrorKind::no_resources, where + ": no memory");
  zip_source_keep(target);  // libzip frees one reference when it closes the archive
  const Source owner(target);
  Archive archive = open_archive(target, ZIP_CREATE | ZIP_TRUNCATE, where);

  const auto failed = [&](const std::string& why) {
    throw Error(ErrorKind::no_resources, fmt::format("{}: cannot be built: {}", where, why));
  };
  std::set<std::string_view> names;
  std::vector<std::string> contents;  // must live until the archive is closed
  contents.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    if (!names.insert(name).second) {
      throw Error(ErrorKind::usage, fmt::format("two arrays would be called '{}'", name));
    }
    std::string& content = contents.emplace_back(npy_header(array));
    content.append(reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size());
    Source source(zip_source_buffer(archive.get(), content.data(), content.size(), 0));
    const int64_t index = source ? zip_file_add(archive.get(), (name + ".npy").c_str(),
                                                source.get(), ZIP_FL_ENC_UTF_8)
                                 : -1;
    if (index < 0) failed(zip_strerror(archive.get()));
    source.release();  // NOLINT(bugprone-unused-return-value): the archive owns it now
    const auto entry = static_cast<uint64_t>(index);
    const int method = compression == Compression::stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE;
    // The earliest time that a zip can hold: the same arrays give the same bytes.
    if (zip_set_file_compression(archive.get(), entry, method, 0) != 0 ||
        zip_file_set_dostime(archive.get(), entry, 0, 0x21, 0) != 0) {
      failed(zip_strerror(archive.get()));
    }
  }
  if (zip_close(archive.get()) != 0) failed(zip_strerror(archive.get()));
  archive.release();  // NOLINT(bugprone-unused-return-value): closed

  if (arrays.empty()) {  // libzip makes no archive of nothing: an end record alone
    write_file_atomically(path, "PK\x05\x06" + std::string(18, '\0'));
    return;
  }
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_source_stat(target, &stat) != 0 || zip_source_open(target) != 0) {
    failed(error_text(zip_error_code_zip(zip_source_error(target))));
  }
  AtomicFile file(path, static_cast<int64_t>(stat.size));
  std::vector<std::byte> block(size_t{1} << 20);
  int64_t got = 0;
  while ((got = zip_source_read(target, block.data(), block.size())) > 0) {
    file.write(std::span(block).first(static_cast<size_t>(got)));
  }
  zip_source_close(target);
  if (got < 0) failed(error_text(zip_error_code_zip(zip_source_error(target))));
  file.commit();
}

}  // namespace headlight::tensorfile
