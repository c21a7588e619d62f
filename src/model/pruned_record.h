// What a pruned model's config.json says about where it comes from.
#pragma once

namespace headlight::model {

// A list, the last pruning at its end: {"from": directory, "kind": …, "removed": names of heads as
// they were in that model}. Nothing depends on it.
inline constexpr const char* kPrunedRecord = "pruned_by_headlight";

}  // namespace headlight::model
