// Section A for one layer of one sequence.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heads/analysis.h"
#include "heads/pattern.h"
#include "heads/token_graph.h"
#include "heads/walks.h"

namespace headlight::heads {

// Mixtures of a layer's heads: 1/H, and by the Frobenius norms of the output projections.
struct Mixture {
  std::vector<double> weights;  // [all heads]; 0 for heads of other layers
};
std::optional<Mixture> uniform_mixture(const std::vector<int64_t>& layer, int64_t heads);
// Empty without output projections or if all of them are zero.
std::optional<Mixture> output_norm_mixture(const Attention&, const std::vector<int64_t>& layer);

// What hitting times alone tell.
Flow flow_of_times(const std::vector<double>& hitting_times);

// Everything about one graph. `known` are its hitting times where a pass has made them already.
Flow flow_of_graph(const TokenGraph&, const AnalysisOptions&, const std::vector<double>* known);

// Gains over the best single head, and whether they are synergy.
CombinedFlow compare_with_heads(Flow combined, std::vector<double> weights,
                                const std::vector<Flow>& heads);

}  // namespace headlight::heads
