// Statistics of rows and keys against sums over the whole matrix of weights.
#include "random_case.h"

namespace headlight::attention {
namespace {

struct Rows {
  std::vector<double> entropy, distance, first, self, previous, next, local, top, sink, received;
  std::vector<double> weights;  // [rows, keys]
};

constexpr int64_t kWindow = 3;

Rows expected_rows(const Case& c) {
  const AttentionShape& s = c.shape;
  const Results r = oracle(c);
  Rows x;
  x.received.assign(s.batch * s.heads * s.keys, 0);
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t length = c.key_lengths.empty() ? s.keys : c.key_lengths[b];
    int64_t offset = 0;
    if (c.numbers.causal == Causal::bottom_right) offset = length - s.queries;
    if (c.numbers.causal == Causal::offset) offset = c.numbers.causal_offset;
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 0; i < s.queries; ++i) {
        const double* p = &r.weights[((b * s.heads + h) * s.queries + i) * s.keys];
        double total = 0;
        for (int64_t j = 0; j < s.keys; ++j) total += p[j];
        double entropy = 0, distance = 0, local = 0, top = 0;
        const int64_t position = i + offset;
        const auto at = [&](int64_t j) {
          return j >= 0 && j < s.keys && total > 0 ? p[j] / total : 0;
        };
        for (int64_t j = 0; j < s.keys; ++j) {
          const double w = total > 0 ? p[j] / total : 0;
          x.weights.push_back(w);
          x.received[(b * s.heads + h) * s.keys + j] += w;
          if (w > 0) entropy -= w * std::log(w);
          distance += w * static_cast<double>(std::abs(j - position));
          if (std::abs(j - position) <= kWindow) local += w;
          top = std::max(top, w);
        }
        x.entropy.push_back(entropy);
        x.distance.push_back(distance);
        x.local.push_back(local);
        x.top.push_back(top);
        x.first.push_back(at(0));
        x.self.push_back(at(position));
        x.previous.push_back(at(position - 1));
        x.next.push_back(at(position + 1));
        x.sink.push_back(c.sinks.empty() ? 0 : 1 - total);
      }
    }
  }
  return x;
}

template <typename E>
void check(const KernelTable& table, const Case& c, double tolerance) {
  using T = Compute<E>;
  const AttentionShape& s = c.shape;
  const Rows expected = expected_rows(c);
  AttentionOptions<T> o = number_options<T>(c);
  const std::vector<T> mask(c.mask.values.begin(), c.mask.values.end());
  const std::vector<T> sinks(c.sinks.begin(), c.sinks.end());
  o.mask = placed_scores<const T>(c.mask, s, mask.data());
  if (!sinks.empty()) o.sinks = sinks.data();
  Placed<E> q(Layout::head_major, s.batch, s.heads, s.queries, s.head_dim);
  Placed<E> k(Layout::head_major, s.batch, s.kv_heads, s.keys, s.head_dim);
  Placed<E> v(Layout::head_major, s.batch, s.kv_heads, s.keys, s.value_dim);
  Placed<E> out(Layout::head_major, s.batch, s.heads, s.queries, s.value_dim);
  q.fill(c.q);
  k.fill(c.k);
  v.fill(c.v);
  const int64_t rows = s.batch * s.heads * s.queries;
  std::vector<std::vector<T>> results(9, std::vector<T>(rows, T(7)));
  std::vector<T> received(s.batch * s.heads * s.keys, T(7));
  std::vector<int64_t> top_key(rows, 7);
  AttentionForward<E> call{s, q.read(), k.read(), v.read(), out.tensor, nullptr, {}};
  call.statistics = {results[0].data(), results[1].data(), results[2].data(), results[3].data(),
                     results[4].data(), results[5].data(), results[6].data(), results[7].data(),
                     top_key.data(),    results[8].data(), received.data(),   kWindow};
  run_forward(table, call, o, {nullptr, nullptr, 2});
  const auto near = [&](const std::vector<T>& got, const std::vector<double>& right,
                        const char* name) {
    expect_near(std::vector<double>(got.begin(), got.end()), right, tolerance, name);
  };
  near(results[0], expected.entropy, "entropy");
  near(results[1], expected.distance, "distance");
  near(results[2], expected.first, "first");
  near(results[3], expected.self, "self");
  near(results[4], expected.previous, "previous");
  near(results[5], expected.next, "next");
  near(results[6], expected.local, "local");
  near(results[7], expected.top, "top");
  near(results[8], expected.sink, "sink");
  near(received, expected.received, "received");
  for (int64_t row = 0; row < rows; ++row) {
    const double top = expected.top[row];
    if (top == 0) {
      EXPECT_EQ(top_key[row], -1);
      continue;
    }
    // Keys whose weights differ by less than rounding may change places.
    ASSERT_TRUE(top_key[row] >= 0 && top_key[row] < s.keys);
    EXPECT_NEAR(expected.weights[row * s.keys + top_key[row]], top, tolerance);
  }
}

TEST(AttentionStatistics, AgreeWithTheWholeMatrixOnRandomShapesAndOptions) {
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    Case c = random_case(seed);
    c.bias = {};
    c.allowed = {};
    for (const KernelTable* table : tables_under_test()) {
      SCOPED_TRACE(std::string(table->name) + ", case " + std::to_string(seed));
      check<float>(*table, c, 1e-4);
      check<double>(*table, c, 1e-12);
      if (HasFailure()) return;
    }
    round_inputs<BFloat16>(c);
    for (const KernelTable* table : tables_under_test()) {
      SCOPED_TRACE(std::string(table->name) + ", case " + std::to_string(seed));
      check<BFloat16>(*table, c, 1e-4);
      if (HasFailure()) return;
    }
  }
}

TEST(AttentionStatistics, OfARowWithoutKeysAreZero) {
  Case c = plain_case({1, 1, 1, 3, 5, 4, 4}, 1);
  c.key_lengths = {0};
  for (const KernelTable* table : tables_under_test()) check<float>(*table, c, 0);
}

TEST(AttentionStatistics, KeepTheirMeaningForHugeScores) {
  Case c = plain_case({1, 1, 1, 40, 300, 8, 8}, 1);
  c.numbers.scale = 1e4;
  for (const KernelTable* table : tables_under_test()) check<double>(*table, c, 1e-9);
}

}  // namespace
}  // namespace headlight::attention
