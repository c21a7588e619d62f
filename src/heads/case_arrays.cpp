#include "heads/case_arrays.h"

#include <algorithm>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "tensorfile/npy.h"

namespace headlight::heads {

namespace fs = std::filesystem;
using tensorfile::Array;

void refuse_input(const fs::path& file, const std::string& message) {
  throw Error(ErrorKind::bad_input, file.string() + ": " + message);
}

nlohmann::json read_case(const fs::path& folder) {
  nlohmann::json about = tensorfile::read_json_file(folder / "case.json");
  if (!about.is_object()) refuse_input(folder / "case.json", "must be an object");
  return about;
}

void require_known_keys(const nlohmann::json& object, const std::vector<std::string>& known,
                        const fs::path& folder) {
  for (const auto& [key, value] : object.items()) {
    if (key == "name" || key == "about" || key == "arrays") continue;
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string list = "name, about, arrays";
    for (const std::string& one : known) list.append(", ").append(one);
    std::string message = "there is no key \"";
    message.append(key).append("\" in such a case; known here are ").append(list);
    refuse_input(folder / "case.json", message);
  }
}

namespace {

int64_t whole(const nlohmann::json& value, const std::string& key, const fs::path& folder) {
  if (!value.is_number_integer())
    refuse_input(folder / "case.json", "\"" + key + "\" must hold whole numbers");
  return value.get<int64_t>();
}

}  // namespace

int64_t case_number(const nlohmann::json& about, const std::string& key, const fs::path& folder) {
  if (!about.contains(key)) refuse_input(folder / "case.json", "\"" + key + "\" is missing");
  return whole(about[key], key, folder);
}

std::vector<int64_t> case_numbers(const nlohmann::json& about, const std::string& key,
                                  const fs::path& folder) {
  if (!about.contains(key) || !about[key].is_array())
    refuse_input(folder / "case.json", "\"" + key + "\" must be a list of whole numbers");
  std::vector<int64_t> numbers;
  for (const auto& value : about[key]) numbers.push_back(whole(value, key, folder));
  return numbers;
}

fs::path case_file(const fs::path& folder, const std::string& name) {
  return folder / (name + ".npy");
}

bool has_case_array(const fs::path& folder, const std::string& name) {
  return fs::exists(case_file(folder, name));
}

Array read_case_array(const fs::path& folder, const std::string& name, size_t rank) {
  const fs::path file = case_file(folder, name);
  Array array = tensorfile::read_npy(file);
  if (array.shape.size() != rank)
    refuse_input(file, "shape " + tensorfile::shape_text(array.shape) + " has " +
                           std::to_string(array.shape.size()) + " dimensions, not " +
                           std::to_string(rank));
  return array;
}

void require_shape(const fs::path& folder, const std::string& name, const Array& array,
                   const std::vector<int64_t>& shape) {
  if (array.shape != shape)
    refuse_input(case_file(folder, name), "shape " + tensorfile::shape_text(array.shape) +
                                              " where " + tensorfile::shape_text(shape) +
                                              " is needed");
}

}  // namespace headlight::heads
