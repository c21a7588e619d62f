// What the head metrics cost, as multiples of one attention forward pass over the same heads, both
// on one thread and interleaved: metrics_cost [heads] [head size].
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <vector>

#include "headlight/attention.h"
#include "headlight/splitmix64.h"
#include "heads/analysis.h"

namespace {

using namespace headlight;

// Of the processor, so that a busy machine disturbs less.
double seconds(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(int64_t heads, int64_t n, int64_t dim, int repeats, bool many_steps) {
  SplitMix64 random(1);
  std::vector<float> q(heads * n * dim), k(q.size()), v(q.size()), out(q.size());
  for (auto* values : {&q, &k, &v})
    for (float& x : *values) x = static_cast<float>(4 * random.uniform() - 2);
  const HeadTensor<const float> from_q{q.data(), 0, n * dim, dim};
  const HeadTensor<const float> from_k{k.data(), 0, n * dim, dim};
  const HeadTensor<const float> from_v{v.data(), 0, n * dim, dim};
  const AttentionForward<float> forward{.shape = {1, heads, heads, n, n, dim, dim},
                                        .q = from_q,
                                        .k = from_k,
                                        .v = from_v,
                                        .out = {out.data(), 0, n * dim, dim}};
  AttentionOptions<float> causal;
  causal.causal = Causal::top_left;

  heads::Attention attention{.heads = heads, .queries = n, .keys = n};
  attention.visibility.causal = true;
  attention.queries_and_keys =
      heads::QueriesAndKeys{.q = from_q, .k = from_k, .kv_heads = heads, .head_dim = dim};
  heads::AnalysisOptions options;
  options.many_steps = many_steps;
  options.jensen_shannon_up_to = 0;

  std::vector<double> peer, ours;
  for (int i = 0; i < repeats; ++i) {
    peer.push_back(seconds([&] { attention_forward(forward, causal, {.threads = 1}); }));
    ours.push_back(seconds([&] { heads::analyse(attention, options); }));
  }
  std::printf("N %5lld, %lld heads of %lld, causal, %s: forward %.4f s, metrics %.4f s, %.1f x\n",
              static_cast<long long>(n), static_cast<long long>(heads), static_cast<long long>(dim),
              many_steps ? "all metrics " : "two-pass set", median(peer), median(ours),
              median(ours) / median(peer));
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t heads = argc > 1 ? std::atoll(argv[1]) : 16;
  const int64_t dim = argc > 2 ? std::atoll(argv[2]) : 64;
  measure(heads, 512, dim, 7, false);
  measure(heads, 4096, dim, 3, false);
  measure(heads, 512, dim, 3, true);
}
