// TOML files that other people wrote.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace headlight::tensorfile {

// A TOML document as the JSON object that says the same, so that one reader serves both. Throws
// Error (bad_input), naming the file, line and column, for what is not TOML, and for dates and
// numbers that JSON does not have (inf, nan).
nlohmann::ordered_json read_toml_file(const std::filesystem::path& path);

}  // namespace headlight::tensorfile
