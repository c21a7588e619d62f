#include "heads/pattern.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "headlight/error.h"
#include "headlight/splitmix64.h"
#include "heads/numbers.h"
#include "heads/row_kernels.h"
#include "heads/split_work.h"

namespace headlight::heads {
namespace {

constexpr double kSumTolerance = 1e-3;  // float16 rows of 4,096 keys are off by less
constexpr int64_t kPassRows = 16;       // rows per band of the first pass

std::string place(int64_t head, int64_t row) {
  return "head " + std::to_string(head) + ", row " + std::to_string(row);
}

int64_t panels_of(int64_t keys) { return (keys + kKeyPanel - 1) / kKeyPanel; }

// Keys become panels of 16, transposed, so that scores are made for 16 keys at a time.
std::vector<float> pack_keys(const QueriesAndKeys& source, int64_t keys) {
  const int64_t panels = panels_of(keys), dim = source.head_dim;
  std::vector<float> packed(source.kv_heads * panels * dim * kKeyPanel, 0.0f);
  for (int64_t h = 0; h < source.kv_heads; ++h)
    for (int64_t j = 0; j < keys; ++j) {
      const float* k = source.k.data + h * source.k.head_stride + j * source.k.row_stride;
      float* to = packed.data() + (h * panels + j / kKeyPanel) * dim * kKeyPanel + j % kKeyPanel;
      for (int64_t a = 0; a < dim; ++a) to[a * kKeyPanel] = k[a];
    }
  return packed;
}

}  // namespace

Pattern::Pattern(const Attention& attention, const VisibleKeys& keys, const Options& options)
    : attention_(attention), keys_(keys), options_(options), rows_(attention.heads) {
  const int sources = attention.float_probabilities.has_value() +
                      attention.double_probabilities.has_value() +
                      attention.queries_and_keys.has_value();
  if (sources != 1)
    throw Error(ErrorKind::usage, "attention needs exactly one source: probabilities, or q and k");
  for (const auto& norms : options_.value_norms) {
    auto& logs = log_norms_.emplace_back(norms.size());
    for (size_t j = 0; j < norms.size(); ++j) logs[j] = norms[j] > 0 ? std::log(norms[j]) : 0;
  }
  if (attention.queries_and_keys) {
    const QueriesAndKeys& source = *attention.queries_and_keys;
    if (source.head_dim < 1 || source.kv_heads < 1 || attention.heads % source.kv_heads != 0)
      throw Error(ErrorKind::usage, "the number of query heads (" +
                                        std::to_string(attention.heads) +
                                        ") must be a multiple of the number of key heads (" +
                                        std::to_string(source.kv_heads) + ")");
    panels_ = pack_keys(source, attention.keys);
  }
  split_work(options_.threads, attention.heads, [&](int64_t head) {
    if (attention_.float_probabilities) read_probabilities(*attention_.float_probabilities, head);
    if (attention_.double_probabilities) read_probabilities(*attention_.double_probabilities, head);
    if (attention_.queries_and_keys) read_scores(head);
  });
}

bool Pattern::may_miss_mass() const {
  return (attention_.float_probabilities && attention_.float_probabilities->may_sum_to_less) ||
         (attention_.double_probabilities && attention_.double_probabilities->may_sum_to_less) ||
         (attention_.queries_and_keys && attention_.queries_and_keys->sinks);
}

Pattern::KeyRange Pattern::range(int64_t first, int64_t rows) const {
  KeyRange range{keys_.keys, 0};
  for (int64_t i = first; i < first + rows; ++i) {
    if (keys_.count[i] == 0) continue;
    range.begin = std::min(range.begin, keys_.begin[i]);
    range.end = std::max(range.end, keys_.end[i]);
  }
  if (range.end == 0) range.begin = 0;
  return range;
}

template <typename T>
void Pattern::read_probabilities(const Probabilities<T>& source, int64_t head) {
  const RowKernels& kernels = row_kernels();
  Rows& rows = rows_[head];
  rows.entropy.assign(keys_.queries, 0);
  rows.factor.assign(keys_.queries, 0);
  std::vector<double> p(keys_.keys);
  for (int64_t i = 0; i < keys_.queries; ++i) {
    if (keys_.count[i] == 0) continue;
    const T* from = source.data + head * source.head_stride + i * source.row_stride;
    double seen = 0, hidden = 0;
    for (int64_t j = 0; j < keys_.keys; ++j) {
      const double x = static_cast<double>(from[j]);
      if (x < 0)
        throw Error(ErrorKind::bad_input, place(head, i) + ": the weight of key " +
                                              std::to_string(j) + " is negative (" +
                                              std::to_string(x) + "); probabilities are expected");
      const bool counts = keys_.visible(i, j);
      p[j] = counts ? x : 0;
      if (counts)
        seen += x;
      else if (std::isfinite(x))  // what a query may not attend to has no influence
        hidden += x;
    }
    if (!std::isfinite(seen)) {
      if (!rows.bad_row) rows.bad_row = i;
      continue;
    }
    if (hidden > kSumTolerance)
      throw Error(ErrorKind::bad_input,
                  place(head, i) + ": " + std::to_string(hidden) +
                      " of the weight lies on keys that the mask forbids; check the mask options");
    if (seen > 1 + kSumTolerance || (seen < 1 - kSumTolerance && !source.may_sum_to_less))
      throw Error(ErrorKind::bad_input, place(head, i) + " sums to " + std::to_string(seen) +
                                            " instead of 1; padding rows must be marked as such, "
                                            "and rows with a learned sink allowed to miss mass");
    if (seen <= 0) {
      rows.no_op_mass += 1;
      continue;
    }
    rows.no_op_mass += std::max(0.0, 1 - seen);
    rows.factor[i] = 1 / seen;
    for (double& x : p) x *= rows.factor[i];
    rows.entropy[i] = std::max(
        0.0, -kernels.negative_entropy(p.data() + keys_.begin[i], keys_.end[i] - keys_.begin[i]));
    weigh(head, i, p.data());
  }
}

// Row sum and entropy of attention times value norms.
void Pattern::weigh(int64_t head, int64_t row, const double* p) {
  if (options_.value_norms.empty()) return;
  const RowKernels& kernels = row_kernels();
  Rows& rows = rows_[head];
  if (rows.weighted_factor.empty()) {
    rows.weighted_factor.assign(keys_.queries, 0);
    rows.weighted_entropy.assign(keys_.queries, 0);
  }
  const int64_t begin = keys_.begin[row], n = keys_.end[row] - begin;
  const double* norms = options_.value_norms[head].data() + begin;
  const double sum = kernels.dot(p + begin, norms, n);
  if (!(sum > 0)) return;
  rows.weighted_factor[row] = 1 / sum;
  std::vector<double> w(n);
  kernels.multiply(w.data(), p + begin, norms, 1 / sum, n);
  rows.weighted_entropy[row] = std::max(0.0, -kernels.negative_entropy(w.data(), n));
}

// Scores of all keys in the range for every row of the band, -inf where the row does not see them.
// Row r starts at r * (panels * 16).
void Pattern::score_band(int64_t head, int64_t first, int64_t rows, KeyRange range,
                         std::vector<float>& scores) const {
  const QueriesAndKeys& source = *attention_.queries_and_keys;
  const int64_t panels = panels_of(keys_.keys), stride = panels * kKeyPanel;
  if (static_cast<int64_t>(scores.size()) < rows * stride) scores.resize(rows * stride);
  const int64_t kv = head / (attention_.heads / source.kv_heads);
  const double scale =
      source.scale != 0 ? source.scale : 1 / std::sqrt(static_cast<double>(source.head_dim));
  row_kernels().scores(source.q.data + head * source.q.head_stride + first * source.q.row_stride,
                       source.q.row_stride, rows,
                       panels_.data() + kv * panels * source.head_dim * kKeyPanel, source.head_dim,
                       range.begin / kKeyPanel, panels_of(range.end), static_cast<float>(scale),
                       scores.data(), stride);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = first + r;
    float* row = scores.data() + r * stride;
    if (source.softcap > 0) {
      const float cap = static_cast<float>(source.softcap);
      for (int64_t j = keys_.begin[i]; j < keys_.end[i]; ++j)
        row[j] = cap * std::tanh(row[j] / cap);
    }
    if (source.bias) {
      const float* bias = source.bias + head * keys_.offsets() + keys_.queries - 1 - i;
      for (int64_t j = keys_.begin[i]; j < keys_.end[i]; ++j) row[j] += bias[j];
    }
    keys_.hide(i, row, -std::numeric_limits<float>::infinity());
  }
}

void Pattern::read_scores(int64_t head) {
  const RowKernels& kernels = row_kernels();
  const QueriesAndKeys& source = *attention_.queries_and_keys;
  Rows& rows = rows_[head];
  const int64_t stride = panels_of(keys_.keys) * kKeyPanel;
  const bool weighted = !options_.value_norms.empty();
  rows.lse.assign(keys_.queries, -kInfinity);
  rows.entropy.assign(keys_.queries, 0);
  if (weighted) {
    rows.weighted_factor.assign(keys_.queries, 0);
    rows.weighted_entropy.assign(keys_.queries, 0);
  }
  std::vector<float> scores;
  for (int64_t first = 0; first < keys_.queries; first += kPassRows) {
    const int64_t band_rows = std::min(kPassRows, keys_.queries - first);
    score_band(head, first, band_rows, range(first, band_rows), scores);
    for (int64_t r = 0; r < band_rows; ++r) {
      const int64_t i = first + r, begin = keys_.begin[i], n = keys_.end[i] - begin;
      if (keys_.count[i] == 0) continue;
      const float* s = scores.data() + r * stride + begin;
      const float top = kernels.top_score(s, n);
      ExponentialSums plain, by_norm;
      if (weighted)
        kernels.weighted_exponential_sums(s, options_.value_norms[head].data() + begin,
                                          log_norms_[head].data() + begin, n, top, &plain,
                                          &by_norm);
      else
        kernels.exponential_sums(s, n, top, &plain);
      // Every visible score must be a number; the sum shows a NaN, the maximum an infinity.
      if (!std::isfinite(top) || !std::isfinite(plain.l)) {
        if (!rows.bad_row) rows.bad_row = i;
        continue;
      }
      rows.lse[i] = top + std::log(plain.l);
      rows.entropy[i] = std::max(0.0, std::log(plain.l) - plain.w / plain.l);
      if (source.sinks) {
        // e^sink / (e^sink + e^lse)
        rows.no_op_mass += 1 / (1 + std::exp(rows.lse[i] - source.sinks[head]));
      }
      if (!(by_norm.l > 0)) continue;
      rows.weighted_factor[i] = plain.l / by_norm.l;  // of p, whose row sum is 1
      rows.weighted_entropy[i] = std::max(0.0, std::log(by_norm.l) - by_norm.w / by_norm.l);
    }
  }
}

void Pattern::band(int64_t head, int64_t first, int64_t rows, double* p,
                   std::vector<float>& scores) const {
  const Rows& known = rows_[head];
  if (known.bad_row) {
    std::fill(p, p + rows * keys_.keys, 0.0);
    return;
  }
  const int64_t stride = panels_of(keys_.keys) * kKeyPanel;
  if (from_scores()) score_band(head, first, rows, range(first, rows), scores);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = first + r, begin = keys_.begin[i], end = keys_.end[i];
    double* row = p + r * keys_.keys;
    std::fill(row, row + begin, 0.0);
    std::fill(row + end, row + keys_.keys, 0.0);
    if (keys_.count[i] == 0) continue;
    if (from_scores()) {
      row_kernels().probabilities(scores.data() + r * stride + begin, end - begin, known.lse[i],
                                  row + begin);
    } else {
      const double factor = known.factor[i];
      const auto copy = [&](const auto& source) {
        const auto* from = source.data + head * source.head_stride + i * source.row_stride;
        for (int64_t j = begin; j < end; ++j) row[j] = static_cast<double>(from[j]) * factor;
      };
      if (attention_.float_probabilities)
        copy(*attention_.float_probabilities);
      else
        copy(*attention_.double_probabilities);
      keys_.hide(i, row, 0.0);
    }
    if (options_.permute_keys) permute(head, i, row);
  }
}

// The same weights on other keys: a shuffle of each row among the keys that it sees.
void Pattern::permute(int64_t head, int64_t row, double* p) const {
  SplitMix64 random(
      SplitMix64(options_.seed ^ (static_cast<uint64_t>(head) << 40) ^ static_cast<uint64_t>(row))
          .next());
  std::vector<int64_t> seen;
  seen.reserve(keys_.count[row]);
  for (int64_t j = keys_.begin[row]; j < keys_.end[row]; ++j)
    if (keys_.visible(row, j)) seen.push_back(j);
  for (int64_t left = keys_.count[row]; left > 1; --left)
    std::swap(p[seen[left - 1]], p[seen[random.index(left)]]);
}

}  // namespace headlight::heads
