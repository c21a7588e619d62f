// Which of the files in a folder hold its tokenizer.
#include <fmt/format.h>

#include "headlight/error.h"
#include "text/classic_files.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace headlight::text {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<TokenizerParts> read_file(const fs::path& file) {
  if (file.extension() == ".spm" || file.extension() == ".model")
    return read_sentencepiece_file(file);
  return read_tokenizer_json(file);
}

std::shared_ptr<TokenizerParts> read_folder(const fs::path& folder) {
  for (const char* whole : {"tokenizer.json", "source.spm", "spiece.model", "tokenizer.model"})
    if (fs::exists(folder / whole)) return read_file(folder / whole);
  if (fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt"))
    return read_byte_bpe_files(folder);
  if (fs::exists(folder / "vocab.txt")) return read_bert_files(folder);
  throw Error(ErrorKind::bad_input,
              folder.string() +
                  ": there is no tokenizer here; it needs a tokenizer.json, or source.spm with "
                  "vocab.json, spiece.model, tokenizer.model, vocab.json with merges.txt, or "
                  "vocab.txt");
}

}  // namespace

Tokenizer read_tokenizer(const fs::path& path) {
  if (!fs::exists(path))
    throw Error(ErrorKind::bad_input, path.string() + ": there is no such file or folder");
  try {
    return Tokenizer(fs::is_directory(path) ? read_folder(path) : read_file(path));
  } catch (const Error& error) {
    // What the parts themselves find does not know where they came from.
    const std::string message = error.what();
    if (message.find(path.string()) != std::string::npos) throw;
    throw Error(error.kind(), fmt::format("{}: {}", path.string(), message));
  }
}

}  // namespace headlight::text
