#include "task/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "headlight/error.h"
#include "text/whole_number.h"

namespace headlight::task {

int64_t Arguments::number(const char* name, int64_t low, int64_t high) {
  if (next_ == parts_.size()) {
    refuse(fmt::format("{}, a number from {} to {}, is missing", name, low, high));
  }
  return parse(parts_[next_++], name, low, high);
}

int64_t Arguments::number_or(const char* name, int64_t low, int64_t high, int64_t otherwise) {
  return next_ == parts_.size() ? otherwise : number(name, low, high);
}

std::vector<int64_t> Arguments::numbers(const char* name, int64_t low, int64_t high, size_t most) {
  std::vector<int64_t> result;
  for (; next_ < parts_.size(); ++next_) {
    std::istringstream words(parts_[next_]);
    for (std::string word; words >> word;) {
      const int64_t value = parse(word, name, low, high);
      if (std::ranges::find(result, value) != result.end()) {
        refuse(fmt::format("{} holds {} twice", name, value));
      }
      result.push_back(value);
    }
  }
  if (result.empty() || result.size() > most) {
    refuse(
        fmt::format("{} holds {} numbers; 1 to {} different ones, each from {} to {}, belong "
                    "there",
                    name, result.size(), most, low, high));
  }
  return result;
}

void Arguments::finish() const {
  if (next_ != parts_.size()) {
    refuse(fmt::format("the argument '{}' is one too many", parts_[next_]));
  }
}

void Arguments::refuse(const std::string& why) const {
  throw Error(ErrorKind::usage,
              fmt::format("task '{}': {}; write it like {}", specification_, why, example_));
}

int64_t Arguments::parse(const std::string& text, const char* name, int64_t low,
                         int64_t high) const {
  const std::optional<int64_t> value = text::whole_number(text);
  if (!value || *value < low || *value > high) {
    refuse(fmt::format("{} is '{}', but must be a number from {} to {}", name, text, low, high));
  }
  return *value;
}

}  // namespace headlight::task
