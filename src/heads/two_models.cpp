#include "heads/two_models.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "headlight/error.h"
#include "heads/output_hsic.h"
#include "heads/pattern.h"
#include "heads/row_kernels.h"
#include "heads/split_work.h"

namespace headlight::heads {
namespace {

// One of the two models.
class Side {
 public:
  explicit Side(const Attention& attention)
      : heads(attention.heads),
        keys(attention),
        bad(attention.heads, false),
        attention_(attention),
        pattern_(attention, keys, {}) {
    const ValuesAndOutput& output = *attention.output;
    values_ = seen_values(attention, keys);
    const int64_t of_group = attention.keys * output.value_dim;
    std::vector<bool> bad_group(output.kv_heads, false);
    for (int64_t h = 0; h < output.kv_heads; ++h)
      bad_group[h] =
          !std::all_of(values_.begin() + h * of_group, values_.begin() + (h + 1) * of_group,
                       [](float value) { return std::isfinite(value); });
    for (int64_t h = 0; h < heads; ++h)
      bad[h] = pattern_.rows(h).bad_row.has_value() || bad_group[h / (heads / output.kv_heads)];
  }

  // p[h][r][j] of some rows, at `band`.
  void band(int64_t head, int64_t first, int64_t rows, double* p) const {
    static thread_local std::vector<float> scores;
    pattern_.band(head, first, rows, p, scores);
  }
  Pattern::KeyRange range(int64_t first, int64_t rows) const { return pattern_.range(first, rows); }

  // out[r][h * value_dim + c] from that band.
  void outputs(const double* band, int64_t first, int64_t rows, double* out) const {
    const ValuesAndOutput& output = *attention_.output;
    const int64_t dim = output.value_dim, width = heads * dim;
    const Pattern::KeyRange seen = range(first, rows);
    for (int64_t h = 0; h < heads; ++h) {
      if (bad[h]) continue;
      const float* values =
          values_.data() + (h / (heads / output.kv_heads) * keys.keys + seen.begin) * dim;
      row_kernels().weighted_values(band + h * kBandRows * keys.keys + seen.begin, keys.keys, rows,
                                    values, dim, seen.end - seen.begin, dim, out + h * dim, width);
    }
  }

  int64_t width() const { return heads * attention_.output->value_dim; }

  int64_t heads;
  VisibleKeys keys;
  std::vector<bool> bad;

 private:
  const Attention& attention_;
  Pattern pattern_;
  std::vector<float> values_;  // [kv_heads][keys][value_dim]
};

void check(const Attention& a, const Attention& b) {
  if (!a.output || !b.output)
    throw Error(ErrorKind::usage, "two models are compared by their values and outputs as well");
  if (a.queries != b.queries || a.keys != b.keys || a.cross != b.cross)
    throw Error(ErrorKind::usage, "two models are compared over the same queries and keys");
}

}  // namespace

TwoModels compare(const Attention& a, const Attention& b, int threads) {
  check(a, b);
  const Side one(a), two(b);
  const int64_t keys = a.keys, all = one.heads + two.heads;
  std::vector<double> band(all * kBandRows * keys, 0.0);
  std::vector<double> gram(all * all, 0.0), workspace(all * kGramChunk);
  OutputHsic outputs(a, b);
  std::vector<double> out_a(kOutputRows * one.width()), out_b(kOutputRows * two.width());
  std::vector<double> made_a(kBandRows * one.width()), made_b(kBandRows * two.width());
  int64_t collected = 0;

  TwoModels sums;
  for (int64_t first = 0; first < a.queries; first += kBandRows) {
    const int64_t rows = std::min(kBandRows, a.queries - first);
    split_work(keys >= kThreadedKeys ? threads : 1, all, [&](int64_t h) {
      double* to = band.data() + h * kBandRows * keys;
      if (h < one.heads)
        one.band(h, first, rows, to);
      else
        two.band(h - one.heads, first, rows, to);
    });
    const Pattern::KeyRange ra = one.range(first, rows), rb = two.range(first, rows);
    const int64_t begin = std::min(ra.begin, rb.begin), end = std::max(ra.end, rb.end);
    if (collected + rows > kOutputRows) {
      outputs.add(out_a.data(), out_b.data(), collected);
      collected = 0;
    }
    std::fill(made_a.begin(), made_a.end(), 0.0);
    std::fill(made_b.begin(), made_b.end(), 0.0);
    one.outputs(band.data(), first, rows, made_a.data());
    two.outputs(band.data() + one.heads * kBandRows * keys, first, rows, made_b.data());
    for (int64_t r = 0; r < rows; ++r) {
      if (one.keys.count[first + r] == 0 || two.keys.count[first + r] == 0) continue;
      ++sums.rows;
      row_kernels().root_gram(band.data() + r * keys + begin, kBandRows * keys, all, end - begin,
                              gram.data(), workspace.data());
      std::copy_n(made_a.data() + r * one.width(), one.width(),
                  out_a.data() + collected * one.width());
      std::copy_n(made_b.data() + r * two.width(), two.width(),
                  out_b.data() + collected * two.width());
      ++collected;
    }
  }
  outputs.add(out_a.data(), out_b.data(), collected);

  // From sums of its own rows on both sides: 1 - BC would lose what lies below 1e-16.
  sums.squared_hellinger.assign(one.heads, std::vector<double>(two.heads, 0.0));
  for (int64_t h = 0; h < one.heads; ++h)
    for (int64_t g = 0; g < two.heads; ++g) {
      const int64_t other = one.heads + g;
      sums.squared_hellinger[h][g] = std::max(
          0.0, (gram[h * all + h] + gram[other * all + other]) / 2 - gram[other * all + h]);
    }
  outputs.finish(sums);
  sums.bad_a = one.bad;
  sums.bad_b = two.bad;
  return sums;
}

}  // namespace headlight::heads
