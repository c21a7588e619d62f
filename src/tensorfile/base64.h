// Bytes as text that may stand in JSON and HTML.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace headlight::tensorfile {

// RFC 4648, with padding.
std::string base64(std::span<const uint8_t> bytes);

}  // namespace headlight::tensorfile
