#include "heads/analysis.h"

#include <algorithm>

#include "headlight/error.h"
#include "heads/clusters.h"
#include "heads/effective_heads.h"
#include "heads/sequence_pass.h"

namespace headlight::heads {
namespace {

std::vector<bool> bad_flags(const SequenceSums& sums) {
  std::vector<bool> bad(sums.structure.size(), false);
  for (const BadHead& head : sums.bad_heads) bad[sums.layers[head.layer][head.head]] = true;
  return bad;
}

std::vector<Structure> finish_all(const std::vector<StructureSums>& sums) {
  std::vector<Structure> finished;
  for (const StructureSums& one : sums) finished.push_back(one.finish());
  return finished;
}

// Roles and the sink rate, from the structure.
template <typename Result>
void name_heads(Result& result) {
  double sinks = 0;
  bool all_known = true;
  result.roles.clear();
  for (const Structure& head : result.structure) {
    all_known &= head.is_sink.has_value();
    sinks += head.is_sink.value_or(false);
    result.roles.push_back(roles_of(head, result.uniform_baseline, result.cross, result.causal));
  }
  result.sink_rate.reset();
  if (all_known) result.sink_rate = sinks / static_cast<double>(result.structure.size());
}

// What Analysis and PooledAnalysis share.
template <typename Result>
void describe(const SequenceSums& sums, Result& result) {
  result.cross = sums.cross;
  result.causal = sums.causal;
  result.has_separators = sums.has_separators;
  result.has_exclude = sums.has_exclude;
  result.has_tokens = sums.has_tokens;
  result.structure = finish_all(sums.structure);
  result.uniform_baseline = sums.baseline.finish();
  result.uniform_baseline.row_entropy.clear();
  result.norm_weighted_structure = finish_all(sums.weighted_structure);
  for (Structure& structure : result.norm_weighted_structure) structure.row_entropy.clear();
  name_heads(result);
  if (sums.similarity) result.redundancy = redundancy_of(sums, bad_flags(sums));
  result.bad_heads = sums.bad_heads;
}

}  // namespace

Redundancy redundancy_of(const SequenceSums& sums, const std::vector<bool>& bad) {
  Redundancy out;
  out.bhattacharyya = sums.similarity->bhattacharyya(bad);
  out.hellinger = hellinger_of(out.bhattacharyya);
  out.jensen_shannon_nats = sums.similarity->jensen_shannon(bad);
  const auto whole = [&](const std::vector<int64_t>& heads) {
    return std::none_of(heads.begin(), heads.end(), [&](int64_t h) { return bad[h]; });
  };
  if (std::find(bad.begin(), bad.end(), true) == bad.end())
    out.effective_heads = effective_heads(out.bhattacharyya);
  for (const auto& layer : sums.layers)
    out.effective_heads_per_layer.push_back(whole(layer) ? effective_heads(out.bhattacharyya, layer)
                                                         : std::nullopt);
  Clusters clusters = cluster_heads(out.hellinger, sums.cluster_distance);
  out.clusters = std::move(clusters.labels);
  out.medoids = std::move(clusters.medoids);
  out.cluster_threshold = sums.cluster_distance;
  if (sums.output) out.output = sums.output->finish(sums.layers, bad);
  return out;
}

Analysis analyse(const Attention& attention, const AnalysisOptions& options) {
  SequenceSums sums = pass_over(attention, options);
  Analysis result;
  describe(sums, result);
  result.lse = std::move(sums.lse);
  result.value_norms = std::move(sums.norms);
  result.flow = std::move(sums.flow);
  return result;
}

void read_by_norm(PooledAnalysis& analysis) {
  analysis.structure = std::move(analysis.norm_weighted_structure);
  analysis.norm_weighted_structure.clear();
  name_heads(analysis);
}

struct Pool::Sums {
  int64_t sequences = 0;
  SequenceSums sums;                          // its `flow` is not used
  std::vector<std::vector<LayerFlow>> flows;  // [layers][sequences]
};

Pool::Pool() : sums_(std::make_unique<Sums>()) {}
Pool::~Pool() = default;
Pool::Pool(Pool&&) noexcept = default;
Pool& Pool::operator=(Pool&&) noexcept = default;

void Pool::add(const Attention& attention, const AnalysisOptions& options) {
  SequenceSums one = pass_over(attention, options);
  Sums& all = *sums_;
  const bool first = all.sequences++ == 0;
  if (!first && (one.structure.size() != all.sums.structure.size() ||
                 one.layers != all.sums.layers || one.cross != all.sums.cross))
    throw Error(ErrorKind::usage, "pooled sequences must have the same heads, layers and kind");
  if (all.flows.size() < one.flow.size()) all.flows.resize(one.flow.size());
  for (size_t layer = 0; layer < one.flow.size(); ++layer)
    all.flows[layer].push_back(std::move(one.flow[layer]));
  SequenceSums& sums = all.sums;
  if (first) {
    sums = one;
    for (StructureSums& structure : sums.structure) structure = StructureSums();
    for (StructureSums& structure : sums.weighted_structure) structure = StructureSums();
    sums.baseline = StructureSums();
  } else {
    if (sums.similarity && one.similarity) sums.similarity->merge(*one.similarity);
    if (sums.output && one.output) sums.output->merge(*one.output);
    sums.has_separators |= one.has_separators;
    sums.has_exclude |= one.has_exclude;
    sums.has_tokens |= one.has_tokens;
    for (const BadHead& bad : one.bad_heads)
      if (std::none_of(sums.bad_heads.begin(), sums.bad_heads.end(), [&](const BadHead& known) {
            return known.layer == bad.layer && known.head == bad.head;
          }))
        sums.bad_heads.push_back(bad);
  }
  for (size_t h = 0; h < one.structure.size(); ++h) sums.structure[h].merge(one.structure[h]);
  if (one.weighted_structure.size() == sums.weighted_structure.size())
    for (size_t h = 0; h < one.weighted_structure.size(); ++h)
      sums.weighted_structure[h].merge(one.weighted_structure[h]);
  sums.baseline.merge(one.baseline);
}

PooledAnalysis Pool::finish() const {
  if (sums_->sequences == 0)
    throw Error(ErrorKind::usage, "no sequence was added to the pool of the analysis");
  PooledAnalysis result;
  result.sequences = sums_->sequences;
  describe(sums_->sums, result);
  for (const auto& sequences : sums_->flows)
    result.flow.push_back(spread_over_sequences(sequences));
  return result;
}

}  // namespace headlight::heads
