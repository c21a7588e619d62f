// The graph of tokens: token i sends to token j with weight A_ji (j reads i). Of one head, or of a
// convex mixture of heads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "heads/pattern.h"

namespace headlight::heads {

// Which tokens are nodes. Causal with a named sink: only the tokens up to the sink, since nothing
// after it can reach it.
struct GraphNodes {
  std::vector<int64_t> tokens;  // ascending
  int64_t sink = 0;             // node
  bool causal = false;
  int64_t count() const { return static_cast<int64_t>(tokens.size()); }
};

// Empty for cross-attention, a cached chunk, or no real token. Throws Error (usage) for a sink that
// is no real token.
std::optional<GraphNodes> graph_nodes(const Attention&, std::optional<int64_t> sink);

// Copies the weights of the nodes out of a row over all keys: out[j], j < count.
void node_row(const GraphNodes&, const double* row, double* out);

class TokenGraph {
 public:
  // weights[h] of each head in the mixture; 0 leaves a head out. The matrix is kept if it takes at
  // most `memory` bytes, in `room`, whose memory is used again; otherwise it is made again band by
  // band at every pass.
  TokenGraph(const Pattern&, const GraphNodes&, std::vector<double> weights, int64_t memory,
             std::vector<double> room = {});
  // A given matrix, rows[j * nodes + i] = A_ji.
  TokenGraph(std::vector<double> rows, int64_t nodes, int64_t sink, bool causal);

  int64_t nodes() const { return nodes_; }
  int64_t sink() const { return sink_; }
  bool causal() const { return causal_; }
  bool kept() const { return kept_; }
  // The matrix's memory, for the next graph; this one is not to be used any more.
  std::vector<double> take_room() { return std::move(matrix_); }
  const double* row(int64_t j) const { return matrix_.data() + j * nodes_; }  // only if kept
  // Row j is zero from here on.
  int64_t row_end(int64_t j) const { return causal_ ? j + 1 : nodes_; }

  // visit(j, row) for every row in order.
  template <typename Visit>
  void ascending(const Visit& visit) const {
    Band band;
    for (int64_t first = 0; first < nodes_; first += kBandRows) {
      const double* rows = read(first, band);
      for (int64_t j = first; j < nodes_ && j < first + kBandRows; ++j)
        visit(j, rows + (j - first) * nodes_);
    }
  }
  template <typename Visit>
  void descending(const Visit& visit) const {
    Band band;
    for (int64_t first = (nodes_ - 1) / kBandRows * kBandRows; first >= 0; first -= kBandRows) {
      const double* rows = read(first, band);
      for (int64_t j = std::min(nodes_, first + kBandRows) - 1; j >= first; --j)
        visit(j, rows + (j - first) * nodes_);
    }
  }

 private:
  static constexpr int64_t kBandRows = 16;
  // What rows are made in.
  struct Band {
    std::vector<double> rows, of_head, of_nodes;
    std::vector<float> scores;
  };
  const double* read(int64_t first, Band& band) const;
  void make(int64_t first, int64_t rows, double* out, Band& band) const;

  const Pattern* pattern_ = nullptr;
  GraphNodes places_;
  std::vector<double> weights_;
  int64_t nodes_ = 0, sink_ = 0;
  bool causal_ = false, kept_ = false;
  std::vector<double> matrix_;
};

}  // namespace headlight::heads
