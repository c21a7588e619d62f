#include "lab/ranking.h"

#include <ATen/ATen.h>

#include <numeric>

#include "headlight/error.h"
#include "heads/spearman.h"
#include "lab/gate_gradients.h"
#include "lab/removal_losses.h"

namespace headlight::lab {
namespace {

constexpr double kGradientCost = 3;  // of a backward pass, in forward passes

// A head, or heads that go together.
struct Unit {
  std::vector<int64_t> heads;  // places in model::all_heads()
};
using Units = std::vector<std::vector<Unit>>;  // by layer

int64_t count(const Units& units) {
  return std::accumulate(
      units.begin(), units.end(), int64_t{0},
      [](int64_t sum, const auto& layer) { return sum + static_cast<int64_t>(layer.size()); });
}

int64_t greedy_cost(int64_t units) { return units * (units + 1) / 2; }

// `grouped`: heads with the same keys and values together.
Units units_of(const std::vector<HeadLayer>& layers, bool grouped) {
  Units units;
  for (const HeadLayer& layer : layers) {
    auto& own = units.emplace_back();
    const int64_t size = grouped && layer.kv_heads > 0 ? layer.heads / layer.kv_heads : 1;
    for (int64_t h = 0; h < layer.heads; ++h) {
      if (h % size == 0) own.emplace_back();
      own.back().heads.push_back(layer.first + h);
    }
  }
  return units;
}

class Ranker {
 public:
  Ranker(const model::Transformer& model, const std::vector<Example>& examples,
         const RankSettings& settings, RankingState& state,
         const std::function<void(double, double)>& advanced)
      : model_(model),
        settings_(settings),
        state_(state),
        advanced_(advanced),
        layers_(head_layers(model.config)),
        heads_(units_of(layers_, false)),
        losses_(model, examples, state, [this](double done) { tell(done); }) {
    for (const Example& example : examples)
      scored_.push_back(
          example.labels.defined() ? example.labels.ne(model::kUnscored).sum().item<int64_t>() : 0);
    const bool grouped = std::ranges::any_of(
        layers_, [](const HeadLayer& layer) { return layer.kv_heads != layer.heads; });
    if (grouped) groups_ = units_of(layers_, true);
    all_ = 1 + kGradientCost + cost(heads_) + cost(groups_);
  }

  Ranking run() {
    Ranking ranking;
    ranking.examples = static_cast<int64_t>(scored_.size());
    ranking.scored = std::accumulate(scored_.begin(), scored_.end(), int64_t{0});
    if (ranking.scored == 0)
      throw Error(ErrorKind::bad_input, "the data has no label that is scored: there is no loss");
    ranking.layers = layers_;
    ranking.heads = model::all_heads(model_.config);
    if (ranking.heads.empty())
      throw Error(ErrorKind::bad_input, "the model has no heads left to rank");
    base_ = losses_without({HeadSet(ranking.heads.size())}, Instead::zero, true)[0];
    ranking.loss = base_.loss;
    scored_per_example_ =
        static_cast<double>(ranking.scored) / static_cast<double>(ranking.examples);
    if (state_.gradients.empty())
      state_.gradients = gate_gradients(model_, losses_.batches(),
                                        [&](double share) { tell(share * kGradientCost); });
    done_ += kGradientCost;
    ranking.of_heads = importance_of(heads_);
    for (const auto& layer : groups_)
      for (const Unit& group : layer) ranking.groups.push_back(group.heads);
    if (!groups_.empty()) ranking.of_groups = importance_of(groups_);
    return ranking;
  }

 private:
  void tell(double done) const {
    if (advanced_) advanced_(done_ + done, all_);
  }

  bool greedy(const Units& units) const {
    return !units.empty() && greedy_cost(count(units)) <= settings_.greedy_losses;
  }

  // In forward passes over the data.
  double cost(const Units& units) const {
    const auto n = static_cast<double>(count(units));
    if (n == 0) return 0;
    return (settings_.ablations ? 2 * n : 0) + (settings_.curve ? n + 1 : 0) +
           (greedy(units) ? 1 + static_cast<double>(greedy_cost(count(units))) : 0);
  }

  std::vector<RankingState::Loss> losses_without(const std::vector<HeadSet>& sets,
                                                 Instead instead = Instead::zero,
                                                 bool nats = false) {
    auto found = losses_.without(sets, instead, nats);
    done_ += static_cast<double>(sets.size());
    return found;
  }

  HeadSet without(const Unit& unit) const {
    HeadSet removed(static_cast<size_t>(count(heads_)));
    for (const int64_t head : unit.heads) removed[static_cast<size_t>(head)] = true;
    return removed;
  }

  Importance importance_of(const Units& units) {
    Importance result;
    std::vector<Unit> all;
    for (const auto& layer : units) {
      add_scores(layer, result);
      all.insert(all.end(), layer.begin(), layer.end());
    }
    if (settings_.ablations) add_ablations(all, result);
    const heads::LossesWithout losses = [&](const std::vector<std::vector<bool>>& sets) {
      std::vector<HeadSet> of_heads;
      for (const std::vector<bool>& set : sets) {
        Unit joined;
        for (size_t u = 0; u < set.size(); ++u)
          if (set[u])
            joined.heads.insert(joined.heads.end(), all[u].heads.begin(), all[u].heads.end());
        of_heads.push_back(without(joined));
      }
      std::vector<double> found;
      for (const RankingState::Loss& one : losses_without(of_heads)) found.push_back(one.loss);
      return found;
    };
    if (settings_.curve)
      result.gate = heads::removal_by_score(result.scores.gate_gradient_per_example, losses);
    if (greedy(units)) result.greedy = heads::greedy_removal(count(units), losses);
    return result;
  }

  // Of one layer, behind those that are there.
  void add_scores(const std::vector<Unit>& layer, Importance& result) const {
    if (layer.empty()) return;
    std::vector<double> of_data(layer.size());  // of the loss of all labels together
    std::vector<std::vector<double>> of_examples;
    for (size_t x = 0; x < scored_.size(); ++x) {
      if (scored_[x] == 0) continue;
      auto& row = of_examples.emplace_back();
      for (size_t u = 0; u < layer.size(); ++u) {
        double nats = 0;
        for (const int64_t head : layer[u].heads)
          nats += state_.gradients[x][static_cast<size_t>(head)];
        of_data[u] += nats;
        row.push_back(nats / static_cast<double>(scored_[x]));
      }
    }
    const auto labels =
        static_cast<double>(std::accumulate(scored_.begin(), scored_.end(), int64_t{0}));
    const heads::GateScores found = heads::gate_scores(of_examples);
    for (size_t u = 0; u < layer.size(); ++u) {
      heads::GateScores& to = result.scores;
      to.gate_gradient.push_back(of_data[u] / labels);
      to.gate_gradient_absolute.push_back(std::abs(of_data[u] / labels));
      to.gate_gradient_per_example.push_back(found.gate_gradient_per_example[u]);
      to.gate_gradient_per_example_l2.push_back(found.gate_gradient_per_example_l2[u]);
      std::vector<double> sizes;
      for (const auto& row : of_examples) sizes.push_back(std::abs(row[u]));
      if (sizes.size() > 1)
        result.score_intervals.push_back(
            heads::paired_bootstrap(sizes, heads::kReplicates, settings_.seed));
    }
  }

  void add_ablations(const std::vector<Unit>& units, Importance& result) {
    std::vector<HeadSet> sets;
    for (const Unit& unit : units) sets.push_back(without(unit));
    for (const RankingState::Loss& found : losses_without(sets, Instead::zero, true)) {
      result.ablation_loss.push_back(found.loss);
      result.ablation_zero.push_back(found.loss - base_.loss);
      add_interval(found, result.zero_intervals);
    }
    for (const RankingState::Loss& found : losses_without(sets, Instead::mean, true)) {
      result.ablation_mean.push_back(found.loss - base_.loss);
      add_interval(found, result.mean_intervals);
    }
    const std::vector<double>& score = result.scores.gate_gradient_per_example;
    result.spearman_gate_zero = heads::spearman(score, result.ablation_zero);
    result.spearman_gate_mean = heads::spearman(score, result.ablation_mean);
  }

  // The difference is a ratio of sums over examples. What is resampled is what each example moves
  // it by, to first order: the mean of these numbers is the difference itself.
  void add_interval(const RankingState::Loss& found, std::vector<heads::Interval>& to) const {
    const double difference = found.loss - base_.loss;
    std::vector<double> values;
    for (size_t x = 0; x < scored_.size(); ++x)
      values.push_back(difference + (found.nats[x] - base_.nats[x] -
                                     difference * static_cast<double>(scored_[x])) /
                                        scored_per_example_);
    if (values.size() > 1)
      to.push_back(heads::paired_bootstrap(values, heads::kReplicates, settings_.seed));
  }

  const model::Transformer& model_;
  const RankSettings& settings_;
  RankingState& state_;
  const std::function<void(double, double)>& advanced_;
  std::vector<HeadLayer> layers_;
  Units heads_, groups_;
  RemovalLosses losses_;
  std::vector<int64_t> scored_;  // labels by example
  double scored_per_example_ = 1;
  RankingState::Loss base_;
  double done_ = 0, all_ = 1;
};

}  // namespace

Ranking rank(const model::Transformer& model, const std::vector<Example>& examples,
             const RankSettings& settings, RankingState* state,
             const std::function<void(double, double)>& advanced) {
  RankingState fresh;
  return Ranker(model, examples, settings, state ? *state : fresh, advanced).run();
}

}  // namespace headlight::lab
