// The arrays of a case folder: one .npy per array, beside case.json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tensorfile/array.h"

namespace headlight::heads {

// case.json as an object. Throws headlight::Error (bad_input).
// Throws Error for a key that is not among `known` ("name", "about" and "arrays" are always): one
// that is written wrong would otherwise be an option that is not taken.
void require_known_keys(const nlohmann::json& object, const std::vector<std::string>& known,
                        const std::filesystem::path& folder);

nlohmann::json read_case(const std::filesystem::path& folder);

// Whole numbers of case.json; throws Error (bad_input) that names the key.
int64_t case_number(const nlohmann::json& about, const std::string& key,
                    const std::filesystem::path& folder);
std::vector<int64_t> case_numbers(const nlohmann::json& about, const std::string& key,
                                  const std::filesystem::path& folder);

std::filesystem::path case_file(const std::filesystem::path& folder, const std::string& name);
bool has_case_array(const std::filesystem::path& folder, const std::string& name);

// Throws Error (bad_input) for another number of dimensions, or another shape.
tensorfile::Array read_case_array(const std::filesystem::path& folder, const std::string& name,
                                  size_t rank);
void require_shape(const std::filesystem::path& folder, const std::string& name,
                   const tensorfile::Array&, const std::vector<int64_t>& shape);

[[noreturn]] void refuse_input(const std::filesystem::path& file, const std::string& message);

}  // namespace headlight::heads
