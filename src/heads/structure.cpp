#include "heads/structure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "heads/numbers.h"
#include "heads/row_kernels.h"
#include "heads/structure_sums.h"

namespace headlight::heads {
namespace {

constexpr double kSinkMass = 0.3;
constexpr int64_t kNearOffsets[3] = {0, -1, 1};

std::optional<double> ratio(double sum, int64_t count) {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

}  // namespace

void OffsetSums::merge(const OffsetSums& other) {
  if (other.sums.empty()) return;
  if (sums.empty()) {
    *this = other;
    return;
  }
  const int64_t low = std::min(lowest, other.lowest);
  const int64_t high = std::max(lowest + static_cast<int64_t>(sums.size()),
                                other.lowest + static_cast<int64_t>(other.sums.size()));
  std::vector<double> both(high - low, 0.0);
  std::copy(sums.begin(), sums.end(), both.begin() + (lowest - low));
  for (size_t i = 0; i < other.sums.size(); ++i) both[other.lowest - low + i] += other.sums[i];
  lowest = low;
  sums = std::move(both);
}

EarlierCopies::EarlierCopies(const VisibleKeys& keys, const Visibility& visibility,
                             const std::vector<int64_t>& tokens)
    : of_row(keys.queries) {
  std::map<int64_t, std::vector<int64_t>> places;
  int64_t seen = 0;
  for (int64_t i = 0; i < keys.queries; ++i) {
    const int64_t position = std::min(keys.position(i), keys.keys);
    for (; seen < position; ++seen)
      if (visibility.key_valid.empty() || visibility.key_valid[seen])
        places[tokens[seen]].push_back(seen);
    if (keys.count[i] > 0 && keys.position(i) < keys.keys)
      of_row[i] = places[tokens[keys.position(i)]];
  }
}

StructureSums::StructureSums(const StructureTask& task)
    : cross_(task.cross),
      has_separators_(!task.separators.empty()),
      has_exclude_(!task.exclude.empty()),
      has_tokens_(task.copies != nullptr),
      sequences_(1),
      all_rows_(task.keys->queries),
      received_(task.keys->keys, 0.0),
      seen_by_(task.keys->seen_by) {
  const VisibleKeys& keys = *task.keys;
  row_entropy_.assign(keys.queries, std::numeric_limits<double>::quiet_NaN());
  if (cross_) {
    peaked_.assign(keys.keys, 0);
    for (int64_t seen : seen_by_) coverable_ += seen > 0;
  } else {
    mass_ = {keys.lowest_offset(), std::vector<double>(keys.offsets(), 0.0)};
    peaks_ = mass_;
    choices_ = {keys.lowest_offset(),
                std::vector<double>(keys.choices_at_offset.begin(), keys.choices_at_offset.end())};
  }
}

void StructureSums::add_row(const StructureTask& task, int64_t row, const double* p,
                            double entropy) {
  const RowKernels& kernels = row_kernels();
  const VisibleKeys& keys = *task.keys;
  const int64_t begin = keys.begin[row], n = keys.end[row] - begin, seen = keys.count[row];
  if (seen == 0) return;
  const bool choice = seen >= 2;
  const double* from = p + begin;
  const double top = kernels.max_of(from, n);
  const int64_t peak = begin + (std::find(from, from + n, top) - from);

  ++rows_;
  row_entropy_[row] = entropy;
  entropy_ += entropy;
  effective_ += std::exp(entropy);
  confidence_ += top;
  if (choice) {
    ++choice_rows_;
    relative_ += entropy / std::log(static_cast<double>(seen));
  }
  kernels.add(received_.data() + begin, from, n);
  if (keys.visible(row, keys.first_token)) {
    first_ += p[keys.first_token];
    ++first_rows_;
    if (choice) {
      first_several_ += p[keys.first_token];
      ++first_several_rows_;
    }
  }
  for (int64_t j : task.separators)
    if (j >= begin && j < begin + n) separators_ += p[j];
  if (has_exclude_) {
    const auto excluded = [&](int64_t place) {
      return std::find(task.exclude.begin(), task.exclude.end(), place) != task.exclude.end();
    };
    if (cross_ || !excluded(keys.position(row))) {
      double rest = 0;
      if (!excluded(peak)) {
        rest = top;
      } else {
        for (int64_t j = begin; j < begin + n; ++j)
          if (p[j] > rest && !excluded(j)) rest = p[j];
      }
      confidence_excluding_ += rest;
      ++rows_not_excluded_;
    }
  }
  if (cross_) {
    if (last_row_ >= 0) {
      ++pairs_;
      ascending_ += row > last_row_ ? peak >= last_peak_ : last_peak_ >= peak;
    }
    last_row_ = row;
    last_peak_ = peak;
    peaked_[peak] = 1;
    return;
  }
  const int64_t shift = keys.queries - 1 - row;  // offset index of key 0 of this row
  kernels.add(mass_.sums.data() + shift + begin, from, n);
  if (choice) peaks_.sums[shift + peak] += 1;
  for (int near = 0; near < 3; ++near) {
    const int64_t key = keys.position(row) + kNearOffsets[near];
    if (key < 0 || !keys.visible(row, key)) continue;
    offset_mass_[near] += p[key];
    ++offset_rows_[near];
  }
  if (task.copies && !task.copies->of_row[row].empty()) {
    ++copy_rows_;
    for (int64_t j : task.copies->of_row[row]) {
      if (keys.visible(row, j)) duplicate_ += p[j];
      if (keys.visible(row, j + 1)) induction_ += p[j + 1];
    }
  }
}

void StructureSums::merge(const StructureSums& other) {
  if (other.sequences_ == 0) return;
  if (sequences_ == 0) {
    *this = other;
    // Coverage counts distinct keys within a sequence: settle it before another one comes.
    distinct_ += std::count(peaked_.begin(), peaked_.end(), 1);
    peaked_.clear();
    return;
  }
  sequences_ += other.sequences_;
  no_op_mass += other.no_op_mass;
  may_miss_mass |= other.may_miss_mass;
  bad |= other.bad;
  has_separators_ |= other.has_separators_;
  has_exclude_ |= other.has_exclude_;
  has_tokens_ |= other.has_tokens_;
  rows_ += other.rows_;
  all_rows_ += other.all_rows_;
  choice_rows_ += other.choice_rows_;
  entropy_ += other.entropy_;
  relative_ += other.relative_;
  effective_ += other.effective_;
  confidence_ += other.confidence_;
  confidence_excluding_ += other.confidence_excluding_;
  rows_not_excluded_ += other.rows_not_excluded_;
  first_ += other.first_;
  first_several_ += other.first_several_;
  first_rows_ += other.first_rows_;
  first_several_rows_ += other.first_several_rows_;
  separators_ += other.separators_;
  if (received_.size() < other.received_.size()) {
    received_.resize(other.received_.size(), 0.0);
    seen_by_.resize(other.seen_by_.size(), 0);
  }
  for (size_t j = 0; j < other.received_.size(); ++j) {
    received_[j] += other.received_[j];
    seen_by_[j] += other.seen_by_[j];
  }
  mass_.merge(other.mass_);
  peaks_.merge(other.peaks_);
  choices_.merge(other.choices_);
  for (int near = 0; near < 3; ++near) {
    offset_mass_[near] += other.offset_mass_[near];
    offset_rows_[near] += other.offset_rows_[near];
  }
  duplicate_ += other.duplicate_;
  induction_ += other.induction_;
  copy_rows_ += other.copy_rows_;
  pairs_ += other.pairs_;
  ascending_ += other.ascending_;
  distinct_ += other.distinct_ + std::count(other.peaked_.begin(), other.peaked_.end(), 1);
  coverable_ += other.coverable_;
}

namespace {

// Median, mean and local masses from the weight at each distance.
void finish_distances(const OffsetSums& mass, int64_t rows, Structure& out) {
  std::vector<double> at_distance;
  for (size_t i = 0; i < mass.sums.size(); ++i) {
    const size_t distance = static_cast<size_t>(std::abs(mass.lowest + static_cast<int64_t>(i)));
    if (distance >= at_distance.size()) at_distance.resize(distance + 1, 0.0);
    at_distance[distance] += mass.sums[i];
  }
  double total = 0, mean = 0;
  for (size_t d = 0; d < at_distance.size(); ++d) {
    total += at_distance[d];
    mean += at_distance[d] * static_cast<double>(d);
  }
  out.distance_mean = ratio(mean, rows);
  if (rows == 0) return;
  double up_to = 0;
  size_t width = 0;
  for (size_t d = 0; d < at_distance.size(); ++d) {
    up_to += at_distance[d];
    if (!out.distance_median && up_to >= total / 2 - kEqual * static_cast<double>(rows))
      out.distance_median = static_cast<int64_t>(d);
    while (width < kLocalWidths.size() && kLocalWidths[width] == static_cast<int64_t>(d))
      out.local_mass[width++] = up_to / static_cast<double>(rows);
  }
  while (width < kLocalWidths.size()) out.local_mass[width++] = up_to / static_cast<double>(rows);
}

// The offset at which the largest weight stands most often, among those that at least half of the
// rows with a choice see.
void finish_positional(const OffsetSums& peaks, const OffsetSums& choices, int64_t choice_rows,
                       Structure& out) {
  if (choice_rows == 0) return;
  double best = -1;
  int64_t best_offset = 0;
  for (size_t i = 0; i < choices.sums.size(); ++i) {
    if (choices.sums[i] <= 0 || 2 * choices.sums[i] < static_cast<double>(choice_rows)) continue;
    const int64_t offset = choices.lowest + static_cast<int64_t>(i);
    const double share = peaks.sums[i] / choices.sums[i];
    const bool nearer = std::abs(offset) < std::abs(best_offset) ||
                        (std::abs(offset) == std::abs(best_offset) && offset < best_offset);
    if (share > best + kEqual || (share >= best - kEqual && nearer)) {
      best = share;
      best_offset = offset;
    }
  }
  if (best < 0) return;
  out.positional_offset = best_offset;
  out.positional_share = best;
}

}  // namespace

Structure StructureSums::finish() const {
  Structure out;
  out.rows = rows_;
  out.empty_rows = all_rows_ - rows_;
  if (bad) return out;
  out.entropy_nats = ratio(entropy_, rows_);
  out.entropy_relative = ratio(relative_, choice_rows_);
  out.effective_keys = ratio(effective_, rows_);
  out.confidence = ratio(confidence_, rows_);
  out.first_token_mass = ratio(first_, first_rows_);
  out.first_token_mass_several = ratio(first_several_, first_several_rows_);
  if (out.first_token_mass) out.is_sink = *out.first_token_mass > kSinkMass + kEqual;
  if (rows_ > 0) {
    double top = 0;
    for (size_t j = 0; j < received_.size(); ++j) {
      out.received.push_back(received_[j] / static_cast<double>(rows_));
      out.received_per_visible.push_back(ratio(received_[j], seen_by_[j]));
      top = std::max(top, out.received.back());
    }
    out.received_max = top;
    for (size_t j = 0; j < received_.size() && !out.received_argmax; ++j)
      if (out.received[j] >= top * (1 - 1e-6)) out.received_argmax = static_cast<int64_t>(j);
    for (double entropy : row_entropy_)
      if (sequences_ == 1 && !std::isnan(entropy)) out.row_entropy.push_back(entropy);
  }
  if (has_separators_) out.separator_mass = ratio(separators_, rows_);
  if (has_exclude_) out.confidence_excluding = ratio(confidence_excluding_, rows_not_excluded_);
  if (may_miss_mass) out.no_op_mass = ratio(no_op_mass, rows_);
  if (cross_) {
    out.monotone = ratio(static_cast<double>(ascending_), pairs_);
    const int64_t distinct = distinct_ + std::count(peaked_.begin(), peaked_.end(), 1);
    out.coverage = ratio(static_cast<double>(distinct), coverable_);
    return out;
  }
  finish_distances(mass_, rows_, out);
  out.self_mass = ratio(offset_mass_[0], offset_rows_[0]);
  out.previous_mass = ratio(offset_mass_[1], offset_rows_[1]);
  out.next_mass = ratio(offset_mass_[2], offset_rows_[2]);
  finish_positional(peaks_, choices_, choice_rows_, out);
  if (has_tokens_) {
    out.duplicate_score = ratio(duplicate_, copy_rows_);
    out.induction_score = ratio(induction_, copy_rows_);
  }
  return out;
}

}  // namespace headlight::heads
