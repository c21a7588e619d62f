#include "heads/token_graph.h"

#include <algorithm>
#include <string>

#include "headlight/error.h"
#include "heads/row_kernels.h"

namespace headlight::heads {

std::optional<GraphNodes> graph_nodes(const Attention& attention, std::optional<int64_t> sink) {
  const Visibility& visibility = attention.visibility;
  if (attention.cross || attention.queries != attention.keys || visibility.query_offset != 0)
    return std::nullopt;
  if (sink && (*sink < 0 || *sink >= attention.keys))
    throw Error(ErrorKind::usage, "the sink (" + std::to_string(*sink) + ") is not one of the " +
                                      std::to_string(attention.keys) + " tokens");
  GraphNodes nodes{.tokens = {}, .sink = -1, .causal = visibility.causal};
  for (int64_t i = 0; i < attention.keys; ++i) {
    if (!visibility.query_valid.empty() && !visibility.query_valid[i]) continue;
    if (!visibility.key_valid.empty() && !visibility.key_valid[i]) continue;
    if (sink && i == *sink) nodes.sink = nodes.count();
    if (sink && nodes.causal && i > *sink) break;
    nodes.tokens.push_back(i);
  }
  if (nodes.tokens.empty()) return std::nullopt;
  if (!sink) nodes.sink = nodes.count() - 1;
  if (nodes.sink < 0)
    throw Error(ErrorKind::usage, "the sink (" + std::to_string(*sink) + ") is padding");
  return nodes;
}

void node_row(const GraphNodes& nodes, const double* row, double* out) {
  const int64_t n = nodes.count();
  if (nodes.tokens.back() - nodes.tokens.front() == n - 1) {
    std::copy_n(row + nodes.tokens.front(), n, out);
    return;
  }
  for (int64_t i = 0; i < n; ++i) out[i] = row[nodes.tokens[i]];
}

TokenGraph::TokenGraph(const Pattern& pattern, const GraphNodes& nodes, std::vector<double> weights,
                       int64_t memory, std::vector<double> room)
    : pattern_(&pattern),
      places_(nodes),
      weights_(std::move(weights)),
      nodes_(nodes.count()),
      sink_(nodes.sink),
      causal_(nodes.causal),
      kept_(nodes_ <= memory / static_cast<int64_t>(sizeof(double)) / nodes_),
      matrix_(std::move(room)) {
  if (!kept_) return;
  matrix_.resize(nodes_ * nodes_);
  Band band;
  for (int64_t first = 0; first < nodes_; first += kBandRows)
    make(first, std::min(kBandRows, nodes_ - first), matrix_.data() + first * nodes_, band);
}

TokenGraph::TokenGraph(std::vector<double> rows, int64_t nodes, int64_t sink, bool causal)
    : nodes_(nodes), sink_(sink), causal_(causal), kept_(true), matrix_(std::move(rows)) {}

const double* TokenGraph::read(int64_t first, Band& band) const {
  if (kept()) return row(first);
  band.rows.resize(kBandRows * nodes_);
  make(first, std::min(kBandRows, nodes_ - first), band.rows.data(), band);
  return band.rows.data();
}

void TokenGraph::make(int64_t first, int64_t rows, double* out, Band& band) const {
  const int64_t keys = pattern_->keys().keys;
  const int64_t low = places_.tokens[first];
  const int64_t span = places_.tokens[first + rows - 1] - low + 1;
  const auto one = std::find(weights_.begin(), weights_.end(), 1.0);
  if (nodes_ == keys && one != weights_.end()) {  // one head, and every token is a node
    pattern_->band(one - weights_.begin(), low, rows, out, band.scores);
    return;
  }
  band.of_head.resize(span * keys);
  band.of_nodes.resize(nodes_);
  std::fill(out, out + rows * nodes_, 0.0);
  for (size_t h = 0; h < weights_.size(); ++h) {
    if (weights_[h] == 0) continue;
    pattern_->band(static_cast<int64_t>(h), low, span, band.of_head.data(), band.scores);
    for (int64_t r = 0; r < rows; ++r) {
      node_row(places_, band.of_head.data() + (places_.tokens[first + r] - low) * keys,
               band.of_nodes.data());
      row_kernels().add_scaled(out + r * nodes_, band.of_nodes.data(), weights_[h], nodes_);
    }
  }
}

}  // namespace headlight::heads
