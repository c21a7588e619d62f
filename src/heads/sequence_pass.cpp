#include "heads/sequence_pass.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "headlight/error.h"
#include "heads/flow_of_layer.h"
#include "heads/row_kernels.h"
#include "heads/split_work.h"

namespace headlight::heads {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::usage, message); }

void require_places(const std::vector<int64_t>& places, int64_t keys, const std::string& what) {
  for (int64_t place : places)
    if (place < 0 || place >= keys)
      refuse(what + " " + std::to_string(place) + " is not one of the " + std::to_string(keys) +
             " keys");
}

std::vector<std::vector<int64_t>> checked_layers(const Attention& attention,
                                                 const AnalysisOptions& options) {
  std::vector<std::vector<int64_t>> layers = options.layers;
  if (layers.empty()) {
    layers.emplace_back(attention.heads);
    std::iota(layers[0].begin(), layers[0].end(), 0);
  }
  std::vector<int> times(attention.heads, 0);
  for (const auto& layer : layers) {
    if (layer.empty()) refuse("a layer without heads");
    for (int64_t h : layer) {
      if (h < 0 || h >= attention.heads)
        refuse("layers name head " + std::to_string(h) + " of " + std::to_string(attention.heads) +
               " heads (they count from 0)");
      ++times[h];
    }
  }
  for (int64_t h = 0; h < attention.heads; ++h)
    if (times[h] != 1)
      refuse("head " + std::to_string(h) + " must be in exactly one layer, not in " +
             std::to_string(times[h]));
  return layers;
}

void check(const Attention& attention, const AnalysisOptions& options) {
  require_places(options.separators, attention.keys, "separator");
  require_places(options.exclude, attention.keys, "excluded token");
  if (!options.tokens.empty() && static_cast<int64_t>(options.tokens.size()) != attention.keys)
    refuse("there are " + std::to_string(options.tokens.size()) + " token ids for " +
           std::to_string(attention.keys) + " keys");
  if (options.horizon < 1 || options.step_limit < 1)
    refuse("the horizon and the step limit must be at least 1");
  if (options.memory_budget < 0 || options.threads < 1)
    refuse("the memory budget must not be negative and threads must be at least 1");
  if (!(options.cluster_distance >= 0)) refuse("the cluster distance must not be negative");
}

// One sequence while its bands go by, from the last rows to the first.
class Pass {
 public:
  Pass(const Attention& attention, const AnalysisOptions& options, SequenceSums& sums);
  void run();

 private:
  void head_rows(int64_t head, int64_t first, int64_t rows);
  void baseline_rows(int64_t first, int64_t rows);
  void keep_mixed_rows();
  void mixture_rows(int64_t first, int64_t rows);
  void similarity_rows(int64_t first, int64_t rows);
  void output_rows_of(int64_t head, int64_t first, int64_t rows);
  void output_rows(int64_t first, int64_t rows);
  void hit(CausalHitting&, int64_t row, const double* p, std::vector<double>& scratch) const;
  void finish_flow();
  double* band_of(int64_t head) { return band_.data() + head * kBandRows * attention_.keys; }

  const Attention& attention_;
  const AnalysisOptions& options_;
  SequenceSums& sums_;
  VisibleKeys keys_;
  std::optional<Pattern> pattern_;
  std::vector<bool> bad_;
  std::vector<float> values_;
  EarlierCopies copies_;
  StructureTask task_;
  std::optional<GraphNodes> nodes_;
  std::vector<int64_t> node_of_;  // [keys]; -1: not in the graph
  bool fused_hitting_ = false;
  std::vector<CausalHitting> hitting_;             // [heads]
  std::vector<std::vector<CausalHitting>> mixed_;  // [layers][mixtures]
  std::vector<std::vector<Mixture>> mixtures_;     // [layers]: uniform, then output norm
  // [layers][mixtures][nodes, nodes]: where hitting times need the whole matrix and there is room.
  std::vector<std::vector<std::vector<double>>> mixed_rows_;
  std::vector<double> band_;     // [heads][kBandRows][keys]
  std::vector<double> made_;     // [kBandRows][heads * value_dim]: A V of the band
  std::vector<double> outputs_;  // collected rows of it
  int64_t collected_ = 0;
};

Pass::Pass(const Attention& attention, const AnalysisOptions& options, SequenceSums& sums)
    : attention_(attention),
      options_(options),
      sums_(sums),
      keys_(attention),
      bad_(attention.heads, false) {
  check(attention, options);
  sums.layers = checked_layers(attention, options);
  sums.cross = attention.cross;
  sums.causal = attention.visibility.causal;
  sums.has_separators = !options.separators.empty();
  sums.has_exclude = !options.exclude.empty();
  sums.has_tokens = !options.tokens.empty() && !attention.cross;
  sums.cluster_distance = options.cluster_distance;

  Pattern::Options pattern{.value_norms = {},
                           .permute_keys = options.permute_keys,
                           .seed = options.seed,
                           .threads = options.threads};
  std::vector<int64_t> bad_value(attention.heads, -1);
  if (attention.output) {
    sums.norms = value_norms(attention);
    values_ = seen_values(attention, keys_);
    std::vector<std::vector<double>> seen = sums.norms;
    for (int64_t h = 0; h < attention.heads; ++h)
      for (int64_t j = attention.keys - 1; j >= 0; --j) {
        if (keys_.seen_by[j] == 0) seen[h][j] = 0;
        if (!std::isfinite(seen[h][j])) bad_value[h] = j;
      }
    if (options.norm_weighted && !options.permute_keys) pattern.value_norms = std::move(seen);
  }
  const bool weighted = !pattern.value_norms.empty();
  pattern_.emplace(attention, keys_, pattern);

  for (size_t layer = 0; layer < sums.layers.size(); ++layer)
    for (size_t place = 0; place < sums.layers[layer].size(); ++place) {
      const int64_t h = sums.layers[layer][place];
      const std::optional<int64_t> bad_row = pattern_->rows(h).bad_row;
      if (!bad_row && bad_value[h] < 0) continue;
      bad_[h] = true;
      sums.bad_heads.push_back({static_cast<int64_t>(layer), static_cast<int64_t>(place),
                                bad_row.value_or(bad_value[h])});
    }

  if (sums.has_tokens) copies_ = EarlierCopies(keys_, attention.visibility, options.tokens);
  task_ = {.keys = &keys_,
           .cross = attention.cross,
           .separators = options.separators,
           .exclude = options.exclude,
           .copies = sums.has_tokens ? &copies_ : nullptr};
  sums.structure.assign(attention.heads, StructureSums(task_));
  sums.baseline = StructureSums(task_);
  if (weighted) sums.weighted_structure = sums.structure;
  for (int64_t h = 0; h < attention.heads; ++h) {
    sums.structure[h].bad = bad_[h];
    sums.structure[h].may_miss_mass = pattern_->may_miss_mass();
    sums.structure[h].no_op_mass = pattern_->rows(h).no_op_mass;
    if (weighted) sums.weighted_structure[h].bad = bad_[h];
    if (pattern_->from_scores()) sums.lse.push_back(pattern_->rows(h).lse);
  }
  if (options.redundancy) {
    sums.similarity.emplace(attention.heads, attention.keys <= options.jensen_shannon_up_to);
    if (attention.output) {
      sums.output.emplace(attention);
      made_.assign(kBandRows * sums.output->width(), 0.0);
      outputs_.resize(kOutputRows * sums.output->width());
    }
  }
  if (options.flow) nodes_ = graph_nodes(attention, options.sink);
  if (nodes_) {
    node_of_.assign(attention.keys, -1);
    for (int64_t i = 0; i < nodes_->count(); ++i) node_of_[nodes_->tokens[i]] = i;
    for (const auto& layer : sums.layers) {
      auto& mixtures = mixtures_.emplace_back();
      for (auto& mixture :
           {uniform_mixture(layer, attention.heads), output_norm_mixture(attention, layer)})
        if (mixture) mixtures.push_back(*mixture);
    }
    fused_hitting_ = nodes_->causal && nodes_->sink == nodes_->count() - 1;
    if (fused_hitting_) {
      hitting_.assign(attention.heads, CausalHitting(nodes_->count()));
      for (const auto& mixtures : mixtures_)
        mixed_.emplace_back(mixtures.size(), CausalHitting(nodes_->count()));
    } else {
      keep_mixed_rows();
    }
  }
  band_.assign(attention.heads * kBandRows * attention.keys, 0.0);
}

void Pass::run() {
  const int threads = attention_.keys >= kThreadedKeys ? options_.threads : 1;
  for (int64_t first = (keys_.queries - 1) / kBandRows * kBandRows; first >= 0;
       first -= kBandRows) {
    const int64_t rows = std::min(kBandRows, keys_.queries - first);
    if (!nodes_ && pattern_->range(first, rows).end == 0) continue;  // padding, or not asked for
    split_work(threads, attention_.heads, [&](int64_t h) { head_rows(h, first, rows); });
    baseline_rows(first, rows);
    if (fused_hitting_ || !mixed_rows_.empty()) mixture_rows(first, rows);
    if (sums_.similarity) similarity_rows(first, rows);
    if (sums_.output) output_rows(first, rows);
  }
  if (sums_.output) sums_.output->add(outputs_.data(), collected_);
  if (nodes_) finish_flow();
}

void Pass::head_rows(int64_t head, int64_t first, int64_t rows) {
  static thread_local std::vector<float> scores;
  static thread_local std::vector<double> scratch;
  double* p = band_of(head);
  pattern_->band(head, first, rows, p, scores);
  if (bad_[head]) return;
  const Pattern::Rows& known = pattern_->rows(head);
  scratch.resize(keys_.keys);
  for (int64_t r = rows - 1; r >= 0; --r) {
    const int64_t i = first + r, begin = keys_.begin[i], n = keys_.end[i] - begin;
    const double* row = p + r * keys_.keys;
    sums_.structure[head].add_row(task_, i, row, known.entropy[i]);
    if (!sums_.weighted_structure.empty() && known.weighted_factor[i] > 0) {
      row_kernels().multiply(scratch.data() + begin, row + begin, sums_.norms[head].data() + begin,
                             known.weighted_factor[i], n);
      keys_.hide(i, scratch.data(), 0.0);
      sums_.weighted_structure[head].add_row(task_, i, scratch.data(), known.weighted_entropy[i]);
    }
    if (fused_hitting_) hit(hitting_[head], i, row, scratch);
  }
  if (sums_.output) output_rows_of(head, first, rows);
}

// Feeds one row, if it is a node of the graph.
void Pass::hit(CausalHitting& hitting, int64_t row, const double* p,
               std::vector<double>& scratch) const {
  const int64_t j = node_of_[row];
  if (j < 0) return;
  const int64_t low = nodes_->tokens.front();
  if (nodes_->tokens[j] - low == j) {  // no padding in between
    hitting.add_row(j, p + low);
    return;
  }
  scratch.resize(nodes_->count());
  node_row(*nodes_, p, scratch.data());
  hitting.add_row(j, scratch.data());
}

void Pass::baseline_rows(int64_t first, int64_t rows) {
  std::vector<double> uniform(keys_.keys);
  for (int64_t i = first + rows - 1; i >= first; --i) {
    if (keys_.count[i] == 0) continue;
    const double n = static_cast<double>(keys_.count[i]);
    std::fill(uniform.begin() + keys_.begin[i], uniform.begin() + keys_.end[i], 1 / n);
    keys_.hide(i, uniform.data(), 0.0);
    sums_.baseline.add_row(task_, i, uniform.data(), std::log(n));
  }
}

void Pass::mixture_rows(int64_t first, int64_t rows) {
  std::vector<double> mixed(keys_.keys), scratch;
  for (size_t layer = 0; layer < mixtures_.size(); ++layer)
    for (size_t m = 0; m < mixtures_[layer].size(); ++m)
      for (int64_t i = first + rows - 1; i >= first; --i) {
        if (node_of_[i] < 0) continue;
        std::fill(mixed.begin(), mixed.end(), 0.0);
        for (int64_t h : sums_.layers[layer])
          row_kernels().add_scaled(mixed.data() + keys_.begin[i],
                                   band_of(h) + (i - first) * keys_.keys + keys_.begin[i],
                                   mixtures_[layer][m].weights[h], keys_.end[i] - keys_.begin[i]);
        if (fused_hitting_)
          hit(mixed_[layer][m], i, mixed.data(), scratch);
        else
          node_row(*nodes_, mixed.data(),
                   mixed_rows_[layer][m].data() + node_of_[i] * nodes_->count());
      }
}

// Without them every mixture makes the rows of all its heads once more.
void Pass::keep_mixed_rows() {
  size_t count = 0;
  for (const auto& mixtures : mixtures_) count += mixtures.size();
  const double cells = std::pow(static_cast<double>(nodes_->count()), 2);
  if (static_cast<double>(count * sizeof(double)) * cells >
      static_cast<double>(options_.memory_budget) / 2)
    return;
  for (const auto& mixtures : mixtures_)
    mixed_rows_.emplace_back(mixtures.size(), std::vector<double>(static_cast<size_t>(cells)));
}

void Pass::similarity_rows(int64_t first, int64_t rows) {
  const Pattern::KeyRange range = pattern_->range(first, rows);
  std::vector<double> entropy(attention_.heads * rows, 0.0);
  for (int64_t h = 0; h < attention_.heads; ++h)
    std::copy_n(pattern_->rows(h).entropy.begin() + first, rows, entropy.begin() + h * rows);
  int64_t used = 0;
  for (int64_t i = first; i < first + rows; ++i) used += keys_.count[i] > 0;
  sums_.similarity->add({.p = band_.data(),
                         .head_stride = kBandRows * keys_.keys,
                         .row_stride = keys_.keys,
                         .rows = rows,
                         .begin = range.begin,
                         .end = range.end,
                         .used_rows = used,
                         .entropy = entropy.data()});
}

void Pass::output_rows_of(int64_t head, int64_t first, int64_t rows) {
  const ValuesAndOutput& output = *attention_.output;
  const int64_t dim = output.value_dim, kv = head / (attention_.heads / output.kv_heads);
  const Pattern::KeyRange range = pattern_->range(first, rows);
  row_kernels().weighted_values(band_of(head) + range.begin, keys_.keys, rows,
                                values_.data() + (kv * keys_.keys + range.begin) * dim, dim,
                                range.end - range.begin, dim, made_.data() + head * dim,
                                sums_.output->width());
}

void Pass::output_rows(int64_t first, int64_t rows) {
  const int64_t width = sums_.output->width();
  if (collected_ + rows > kOutputRows) {
    sums_.output->add(outputs_.data(), collected_);
    collected_ = 0;
  }
  for (int64_t r = 0; r < rows; ++r)
    if (keys_.count[first + r] > 0)
      std::copy_n(made_.begin() + r * width, width, outputs_.begin() + collected_++ * width);
}

// The graphs of all heads and mixtures, each on its own.
void Pass::finish_flow() {
  struct Piece {
    size_t layer;
    std::vector<double> weights;
    const std::vector<double>* hitting_times;  // null: not known yet
    std::vector<double> rows;                  // of the graph; empty: made from the heads
    bool bad;
    Flow flow;
  };
  std::vector<Piece> pieces;
  for (size_t layer = 0; layer < sums_.layers.size(); ++layer) {
    bool any_bad = false;
    for (int64_t h : sums_.layers[layer]) {
      std::vector<double> only(attention_.heads, 0.0);
      only[h] = 1;
      any_bad |= bad_[h];
      pieces.push_back(
          {layer, only, fused_hitting_ ? &hitting_[h].times() : nullptr, {}, bad_[h], {}});
    }
    for (size_t m = 0; m < mixtures_[layer].size(); ++m)
      pieces.push_back(
          {layer,
           mixtures_[layer][m].weights,
           fused_hitting_ ? &mixed_[layer][m].times() : nullptr,
           mixed_rows_.empty() ? std::vector<double>() : std::move(mixed_rows_[layer][m]),
           any_bad,
           {}});
  }
  static thread_local std::vector<double> room;  // from one graph to the next
  split_work(options_.threads, static_cast<int64_t>(pieces.size()), [&](int64_t k) {
    Piece& piece = pieces[k];
    if (piece.bad) return;
    if (piece.hitting_times && !options_.many_steps) {
      piece.flow = flow_of_times(*piece.hitting_times);
      return;
    }
    // Published mixing keeps a second matrix of the same size beside the graph's.
    TokenGraph graph = piece.rows.empty() ? TokenGraph(*pattern_, *nodes_, piece.weights,
                                                       options_.memory_budget / 2, std::move(room))
                                          : TokenGraph(std::move(piece.rows), nodes_->count(),
                                                       nodes_->sink, nodes_->causal);
    piece.flow = flow_of_graph(graph, options_, piece.hitting_times);
    room = graph.take_room();
  });
  room = {};
  size_t next = 0;
  for (size_t layer = 0; layer < sums_.layers.size(); ++layer) {
    LayerFlow& out = sums_.flow.emplace_back();
    out.tokens = nodes_->count();
    out.sink = nodes_->tokens[nodes_->sink];
    const auto& heads = sums_.layers[layer];
    for (size_t h = 0; h < heads.size(); ++h) out.heads.push_back(std::move(pieces[next++].flow));
    const auto combine = [&](Piece& piece) {
      std::vector<double> weights;
      for (int64_t h : heads) weights.push_back(piece.weights[h]);
      return compare_with_heads(std::move(piece.flow), std::move(weights), out.heads);
    };
    out.combined_uniform = combine(pieces[next++]);
    if (mixtures_[layer].size() > 1) out.combined_output_norm = combine(pieces[next++]);
  }
}

}  // namespace

SequenceSums pass_over(const Attention& attention, const AnalysisOptions& options) {
  SequenceSums sums;
  Pass(attention, options, sums).run();
  return sums;
}

}  // namespace headlight::heads
