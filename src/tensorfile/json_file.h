// JSON files that other people wrote.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace headlight::tensorfile {

// Throws Error (bad_input), naming the file and the place, for what is not JSON, nests deeper than
// 64 levels, names a key of one object twice, or is larger than `limit` bytes.
nlohmann::json read_json_file(const std::filesystem::path& path,
                              int64_t limit = int64_t{256} << 20);
// The same with the keys in the order of the file.
nlohmann::ordered_json read_ordered_json_file(const std::filesystem::path& path,
                                              int64_t limit = int64_t{256} << 20);

// What the JSON library complains about, in words for a person and without its own codes.
std::string json_problem(const nlohmann::json::exception& problem);

}  // namespace headlight::tensorfile
