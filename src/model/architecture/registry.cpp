#include <algorithm>

#include "model/architecture/architecture.h"

namespace headlight::model {
namespace {

const Architecture* const kArchitectures[] = {&kBart,    &kBert,  &kDistilBert, &kGemma, &kGpt2,
                                              &kGptNeox, &kLlama, &kT5,         &kVit};

}  // namespace

const Architecture* find_architecture(const std::string& type) {
  for (const Architecture* one : kArchitectures)
    if (std::find(one->types.begin(), one->types.end(), type) != one->types.end()) return one;
  return nullptr;
}

std::vector<std::string> known_architectures() {
  std::vector<std::string> all;
  for (const Architecture* one : kArchitectures)
    all.insert(all.end(), one->types.begin(), one->types.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace headlight::model
