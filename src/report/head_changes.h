// Which heads changed between two models, for the terminal.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "lab/comparison.h"

namespace headlight::report {

// By stack, layer and number of a head: what it does, in a word.
using RoleNames = std::map<std::tuple<std::string, int64_t, int64_t>, std::string>;

// A row a layer: how many heads stayed, moved, died and appeared, and the one farthest away. Then
// the heads that changed, the farthest first, at most `most` of them. At most `width` columns; ends
// with a line feed.
std::string head_changes(const lab::Comparison& comparison, const RoleNames& roles_a,
                         const RoleNames& roles_b, size_t most, int width, bool colour);

}  // namespace headlight::report
