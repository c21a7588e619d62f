// The role of a head with the number that it stands on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lab/inspection.h"

namespace headlight::report {

struct RoleOfHead {
  std::string name;  // "previous", "positional(-3)"; "" for a head without numbers
  char letter = '!';
  std::string colour = "#b00020";  // as in #0b5fa5
  std::string words;               // what the name says, for a legend
  std::optional<double> strength;  // 0 to 1: the number behind the name
};

RoleOfHead role_of(const lab::InspectedLayer& layer, size_t head);

// The head's number in the model that it comes from: pruned layers keep some only.
int64_t head_number(const lab::InspectedLayer& layer, size_t head);

// Groups of two and more heads of one layer that look at the same things: Bhattacharyya
// coefficients of 0.9 on average.
std::vector<std::vector<size_t>> alike(const lab::InspectedLayer& layer);

}  // namespace headlight::report
