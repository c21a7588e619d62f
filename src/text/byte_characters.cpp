#include "text/byte_characters.h"

#include "text/utf8.h"

namespace headlight::text {
namespace {

bool is_visible(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Table {
  std::array<std::string, 256> characters;
  std::array<int, 512> bytes;
  Table() {
    bytes.fill(-1);
    char32_t next = 256;  // bytes that cannot be seen are numbered from here
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t code = is_visible(byte) ? static_cast<char32_t>(byte) : next++;
      append_utf8(characters[static_cast<size_t>(byte)], code);
      bytes[code] = byte;
    }
  }
};

const Table& table() {
  static const Table made;
  return made;
}

}  // namespace

const std::array<std::string, 256>& byte_characters() { return table().characters; }

int byte_of_character(char32_t code) {
  return code < table().bytes.size() ? table().bytes[code] : -1;
}

}  // namespace headlight::text
