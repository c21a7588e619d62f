// Everything that is known about some heads over one sequence, or over many.
//
//   Attention attention{.heads = 4, .queries = n, .keys = n};
//   attention.visibility.causal = true;
//   attention.queries_and_keys = QueriesAndKeys{.q = …, .k = …, .kv_heads = 4, .head_dim = 16};
//   attention.output = ValuesAndOutput{…};                       // optional
//   Analysis one = analyse(attention);                            // one sequence
//   Pool pool;  for (each sequence) pool.add(attention);          // many: row statistics pool,
//   PooledAnalysis all = pool.finish();                           // graph statistics spread
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "heads/attention_source.h"
#include "heads/flow.h"
#include "heads/redundancy.h"
#include "heads/roles.h"
#include "heads/structure.h"

namespace headlight::heads {

struct AnalysisOptions {
  std::vector<std::vector<int64_t>> layers;  // which heads form which layer; empty: one layer
  std::optional<int64_t> sink;      // of the graph, as a token index; absent: the last real token
  std::vector<int64_t> separators;  // key positions of separator tokens
  std::vector<int64_t> exclude;     // key positions left out of confidence_excluding
  std::vector<int64_t> tokens;      // [keys] token ids; empty: no duplicate and induction scores
  bool flow = true;                 // section A
  bool many_steps = true;           // published mixing, threshold times and fidelity in section A
  bool redundancy = true;           // section C
  bool norm_weighted = true;        // attention times value norms, where values are given
  int64_t jensen_shannon_up_to = 1024;  // keys; it needs a logarithm per pair of heads and weight
  int64_t horizon = 100;                // steps of published mixing and fidelity
  int64_t step_limit = 200;             // of threshold times beyond 2,048 tokens
  int64_t memory_budget = int64_t{256} << 20;  // bytes; a larger matrix is made again at each step
  double cluster_distance = 0.31622776601683794;  // Hellinger; a Bhattacharyya coefficient of 0.9
  bool permute_keys = false;  // the chance level of synergy: each row's weights permuted among its
                              // allowed keys, by seed (arrays and queries_and_keys alike)
  uint64_t seed = 0;          // of permute_keys
  int threads = 1;
};

// The first NaN or infinity in the scores of a head. Its numbers are undefined.
struct BadHead {
  int64_t layer = 0;
  int64_t head = 0;
  int64_t row = 0;
};

struct Analysis {
  bool cross = false;
  bool causal = false;
  bool has_separators = false, has_exclude = false, has_tokens = false;
  std::vector<std::vector<double>> lse;  // [heads][queries]; only from queries and keys
  std::vector<Structure> structure;      // [heads]
  Structure uniform_baseline;
  std::optional<double> sink_rate;
  std::vector<std::vector<std::string>> roles;     // [heads], the role first
  std::vector<std::vector<double>> value_norms;    // [heads][keys]; only with values
  std::vector<Structure> norm_weighted_structure;  // [heads]; only with values
  std::optional<Redundancy> redundancy;
  std::vector<LayerFlow> flow;  // [layers]; empty where there is no graph
  std::vector<BadHead> bad_heads;
};

// n_j = ||v_j W_O^h|| for every head and key, [heads][keys], of attention with values.
std::vector<std::vector<double>> value_norms(const Attention&);

// Throws headlight::Error (bad_input, naming head and row; usage for options out of range).
Analysis analyse(const Attention&, const AnalysisOptions& = {});

// Many sequences of the same heads.
struct PooledAnalysis {
  int64_t sequences = 0;
  bool cross = false;
  bool causal = false;
  bool has_separators = false, has_exclude = false, has_tokens = false;
  std::vector<Structure> structure;  // pooled by rows
  Structure uniform_baseline;
  std::optional<double> sink_rate;
  std::vector<std::vector<std::string>> roles;
  std::vector<Structure> norm_weighted_structure;
  std::optional<Redundancy> redundancy;  // pooled by rows
  std::vector<LayerFlowSpread> flow;     // [layers]
  std::vector<BadHead> bad_heads;
};

// `structure`, `roles` and `sink_rate` become those of attention times value norms (Kobayashi et
// al. 2020), which must be there and is moved from.
void read_by_norm(PooledAnalysis& analysis);

// Options may differ between sequences in what belongs to a sequence (tokens, separators, exclude,
// sink); heads and layers must not.
class Pool {
 public:
  Pool();
  ~Pool();
  Pool(Pool&&) noexcept;
  Pool& operator=(Pool&&) noexcept;
  void add(const Attention&, const AnalysisOptions& = {});
  PooledAnalysis finish() const;  // throws Error (usage) if nothing was added

 private:
  struct Sums;
  std::unique_ptr<Sums> sums_;
};

}  // namespace headlight::heads
