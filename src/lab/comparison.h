// Which heads changed between two models, matched head to head within each layer (docs/diff.md).
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "heads/bootstrap.h"
#include "heads/redundancy.h"
#include "lab/example.h"
#include "model/transformer.h"

namespace headlight::lab {

// What two heads are compared by; each distance is from 0 to 1.
//   pattern: Hellinger distance sqrt(1 - BC) of what they look at, over all rows
//   output:  sqrt(1 - CKA) of what they add to the stream; 0 if both, 1 if one adds the same to
//            every row
//   both:    the root of the mean of the two squares
enum class MatchBy { pattern, output, both };

struct ComparisonSettings {
  MatchBy by = MatchBy::both;
  double moved = 0.1;   // a distance above it: the head has changed
  double apart = 0.5;   // above it: it is not the same head any more, one died and one appeared
  double silent = 0.1;  // an output of less than this share of the layer's root mean square is dead
  uint64_t seed = 0;    // of the intervals
  int threads = 1;
};

enum class Change { same, moved, died, appeared };
const char* name_of(Change change);  // "same", ...

// A head of a, with the head of b that it became; or a head of b that was not there.
struct HeadMatch {
  std::optional<int64_t> a, b;  // places in the layer
  Change change = Change::same;
  // Between the two that are assigned to each other, also where that is too far for a match.
  std::optional<double> distance, pattern, output;
  std::optional<heads::Interval> interval;  // of the distance, 95 % over examples; from two up
  std::optional<double> runner_up;          // the distance of a's next best in b
};

struct ComparedLayer {
  std::string stack;  // "self", "encoder", "decoder" or "cross"
  int64_t layer = 0;
  std::vector<int64_t> heads_a, heads_b;  // their numbers in the model that they come from
  // [heads of a][heads of b]; NaN where a head's scores are no numbers. Empty without heads.
  heads::HeadMatrix pattern, output, distance;
  std::vector<double> norm_a, norm_b;  // of outputs, 1: the layer's root mean square
  std::vector<HeadMatch> matches;      // by a, then what appeared
};

struct Comparison {
  std::vector<ComparedLayer> layers;  // encoder, then decoder, then cross
  int64_t examples = 0, rows = 0;     // rows: queries of the first layer
  bool outputs = true;  // false: no example has the four rows that a comparison of outputs needs
};

// Least total squared distance within each layer (heads::assignment()); where two assignments are
// equally good, heads of the same number belong together. A head that is silent in one model only
// died or appeared. Throws Error (usage, bad_input) for models that cannot be laid over each other
// (kind, layers, vocabulary), naming the reason; what a model throws for an example names its
// number. `advanced` is told how many examples are done.
Comparison compare(const model::Transformer& a, const model::Transformer& b,
                   const std::vector<Example>& examples, const ComparisonSettings& settings,
                   const std::function<void(int64_t done)>& advanced = {});

// How many heads changed in each way, and how many have another number now.
struct ChangeCounts {
  int64_t same = 0, moved = 0, died = 0, appeared = 0, renumbered = 0;
};
ChangeCounts count_changes(const Comparison& comparison);

// The pair that is farthest apart among those that are assigned to each other; null: none is.
const HeadMatch* farthest(const ComparedLayer& layer);

nlohmann::ordered_json to_json(const ComparedLayer& layer);

}  // namespace headlight::lab
