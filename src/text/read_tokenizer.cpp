// Which of the files in a folder hold its tokenizer.
#include <fmt/format.h>

#include "headlight/error.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace headlight::text {

namespace fs = std::filesystem;

Tokenizer read_tokenizer(const fs::path& path) {
  if (fs::is_regular_file(path)) return Tokenizer(read_tokenizer_json(path));
  if (fs::exists(path / "tokenizer.json"))
    return Tokenizer(read_tokenizer_json(path / "tokenizer.json"));
  throw Error(ErrorKind::bad_input, fmt::format("{}: there is no tokenizer here", path.string()));
}

}  // namespace headlight::text
