#include "lab/head_matching.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "heads/assignment.h"

namespace headlight::lab {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Own variation below this share of the energy is the rounding of a constant output.
constexpr double kConstant = 1e-20;
// What a pair of different numbers costs more: less than any difference that could be measured.
constexpr double kRenumbered = 1e-9;

// The terms of one pair of heads in one example, and what their sums over examples mean.
enum Term { kRows, kHellinger, kHsic, kOwnA, kOwnB, kEnergyA, kEnergyB, kTerms };

std::vector<double> terms_of(const heads::TwoModels& example, size_t a, size_t b) {
  std::vector<double> terms(kTerms);
  terms[kRows] = static_cast<double>(example.rows);
  terms[kHellinger] = example.squared_hellinger[a][b];
  terms[kHsic] = example.hsic[a][b];
  terms[kOwnA] = example.own_hsic_a[a];
  terms[kOwnB] = example.own_hsic_b[b];
  terms[kEnergyA] = example.energy_a[a];
  terms[kEnergyB] = example.energy_b[b];
  return terms;
}

double pattern_distance(const std::vector<double>& terms) {
  return terms[kRows] > 0 ? std::sqrt(std::min(1.0, terms[kHellinger] / terms[kRows])) : kNaN;
}

double output_distance(const std::vector<double>& terms) {
  const auto varies = [&](Term own, Term energy) {
    const double mean = terms[energy] / terms[kRows];
    return terms[own] > kConstant * mean * mean;
  };
  const bool a = varies(kOwnA, kEnergyA), b = varies(kOwnB, kEnergyB);
  if (!a || !b) return a == b ? 0 : 1;
  const double cka = terms[kHsic] / std::sqrt(terms[kOwnA] * terms[kOwnB]);
  return std::sqrt(std::clamp(1 - cka, 0.0, 1.0));
}

double distance(double pattern, double output, MatchBy by) {
  if (by == MatchBy::pattern || std::isnan(output)) return pattern;
  if (by == MatchBy::output) return output;
  return std::sqrt((pattern * pattern + output * output) / 2);
}

class Layer {
 public:
  Layer(const LayerSums& sums, const ComparisonSettings& settings)
      : sums_(sums),
        settings_(settings),
        heads_a_(sums.heads_a.size()),
        heads_b_(sums.heads_b.size()) {
    for (const heads::TwoModels& example : sums.examples)
      outputs_ |= example.rows >= kRowsForOutputs;
  }

  ComparedLayer finish() {
    result_.stack = sums_.stack;
    result_.layer = sums_.layer;
    result_.heads_a = sums_.heads_a;
    result_.heads_b = sums_.heads_b;
    if (!sums_.examples.empty()) measure();
    match();
    return std::move(result_);
  }

 private:
  void measure() {
    bad_a_.assign(heads_a_, false);
    bad_b_.assign(heads_b_, false);
    std::vector<double> energy_a(heads_a_, 0.0), energy_b(heads_b_, 0.0);
    for (const heads::TwoModels& example : sums_.examples) {
      for (size_t h = 0; h < heads_a_; ++h) {
        if (example.bad_a[h]) bad_a_[h] = true;
        energy_a[h] += example.energy_a[h];
      }
      for (size_t h = 0; h < heads_b_; ++h) {
        if (example.bad_b[h]) bad_b_[h] = true;
        energy_b[h] += example.energy_b[h];
      }
    }
    result_.norm_a = relative_norms(energy_a, bad_a_);
    result_.norm_b = relative_norms(energy_b, bad_b_);
    result_.pattern.assign(heads_a_, std::vector<double>(heads_b_, kNaN));
    result_.output = result_.distance = result_.pattern;
    for (size_t a = 0; a < heads_a_; ++a)
      for (size_t b = 0; b < heads_b_; ++b) {
        if (bad_a_[a] || bad_b_[b]) continue;
        std::vector<double> all(kTerms, 0.0);
        for (const heads::TwoModels& example : sums_.examples) {
          const std::vector<double> terms = terms_of(example, a, b);
          for (size_t t = 0; t < kTerms; ++t) all[t] += terms[t];
        }
        result_.pattern[a][b] = pattern_distance(all);
        if (outputs_) result_.output[a][b] = output_distance(all);
        result_.distance[a][b] =
            distance(result_.pattern[a][b], result_.output[a][b], settings_.by);
      }
  }

  static std::vector<double> relative_norms(const std::vector<double>& energy,
                                            const std::vector<bool>& bad) {
    double sum = 0, count = 0;
    for (size_t h = 0; h < energy.size(); ++h) {
      if (bad[h]) continue;
      sum += energy[h];
      ++count;
    }
    std::vector<double> norms;
    for (size_t h = 0; h < energy.size(); ++h)
      norms.push_back(bad[h] ? kNaN : sum > 0 ? std::sqrt(energy[h] / sum * count) : 0);
    return norms;
  }

  // Whose partner is whom; -1: nobody's.
  std::vector<int64_t> partners() const {
    if (sums_.examples.empty()) return std::vector<int64_t>(heads_a_, -1);
    std::vector<std::vector<double>> cost(heads_a_, std::vector<double>(heads_b_));
    for (size_t a = 0; a < heads_a_; ++a)
      for (size_t b = 0; b < heads_b_; ++b) {
        const double apart = result_.distance[a][b];
        // An undefined head is left for last.
        cost[a][b] = (std::isnan(apart) ? 2.0 : apart * apart) +
                     (sums_.heads_a[a] == sums_.heads_b[b] ? 0 : kRenumbered);
      }
    return heads::assignment(cost);
  }

  void match() {
    const std::vector<int64_t> partner = partners();
    std::vector<bool> taken(heads_b_, false);
    for (size_t a = 0; a < heads_a_; ++a) {
      HeadMatch match{.a = static_cast<int64_t>(a)};
      if (partner[a] < 0) {
        match.change = Change::died;
      } else {
        const auto b = static_cast<size_t>(partner[a]);
        describe(match, a, b);
        if (match.b) taken[b] = true;
      }
      result_.matches.push_back(match);
    }
    for (size_t b = 0; b < heads_b_; ++b)
      if (!taken[b])
        result_.matches.push_back({.b = static_cast<int64_t>(b), .change = Change::appeared});
  }

  void describe(HeadMatch& match, size_t a, size_t b) const {
    if (std::isnan(result_.distance[a][b])) {
      // Scores that stopped being numbers are a death; those of both are no finding.
      match.b = static_cast<int64_t>(b);
      match.change = bad_a_[a] && bad_b_[b] ? Change::same
                     : bad_b_[b]            ? Change::died
                                            : Change::appeared;
      return;
    }
    match.distance = result_.distance[a][b];
    match.pattern = result_.pattern[a][b];
    if (outputs_) match.output = result_.output[a][b];
    match.interval = interval(a, b);
    for (size_t other = 0; other < heads_b_; ++other) {
      const double apart = result_.distance[a][other];
      if (other == b || std::isnan(apart)) continue;
      if (!match.runner_up || apart < *match.runner_up) match.runner_up = apart;
    }
    const bool silent_a = result_.norm_a[a] < settings_.silent;
    const bool silent_b = result_.norm_b[b] < settings_.silent;
    if (silent_a != silent_b) {
      match.b = static_cast<int64_t>(b);
      match.change = silent_b ? Change::died : Change::appeared;
    } else if (*match.distance > settings_.apart) {
      match.change = Change::died;  // and the one in b appeared: b stays free
    } else {
      match.b = static_cast<int64_t>(b);
      match.change = *match.distance > settings_.moved ? Change::moved : Change::same;
    }
  }

  std::optional<heads::Interval> interval(size_t a, size_t b) const {
    if (sums_.examples.size() < 2) return {};
    std::vector<std::vector<double>> items;
    for (const heads::TwoModels& example : sums_.examples) items.push_back(terms_of(example, a, b));
    const auto value = [&](const std::vector<double>& terms) {
      const double output = outputs_ ? output_distance(terms) : kNaN;
      return std::vector<double>{distance(pattern_distance(terms), output, settings_.by)};
    };
    return heads::sums_bootstrap(items, value, heads::kReplicates, settings_.seed)[0];
  }

  const LayerSums& sums_;
  const ComparisonSettings& settings_;
  size_t heads_a_, heads_b_;
  bool outputs_ = false;  // some example has rows enough to compare outputs
  std::vector<bool> bad_a_, bad_b_;
  ComparedLayer result_;
};

}  // namespace

ComparedLayer matched(const LayerSums& sums, const ComparisonSettings& settings) {
  return Layer(sums, settings).finish();
}

}  // namespace headlight::lab
