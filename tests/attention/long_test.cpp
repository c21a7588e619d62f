// 32,768 queries and keys: memory stays linear, and spot checks agree with the definition.
#include <cmath>
#include <fstream>

#include "random_case.h"

namespace headlight::attention {
namespace {

// Peak resident memory in bytes since the last call of reset_peak(); 0 where the system does not
// say.
int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") {
      int64_t kibibytes = 0;
      status >> kibibytes;
      return kibibytes * 1024;
    }
  }
  return 0;
}

bool reset_peak() {
  std::ofstream refs("/proc/self/clear_refs");
  refs << "5" << std::flush;
  return refs.good();
}

TEST(LongAttention, NeedsLinearMemoryForwardAndBackward) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer has memory of its own";
#endif
  constexpr int64_t kRows = 32768, kDim = 16;
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  const auto numbers = [&] {
    std::vector<float> x(kRows * kDim);
    for (float& e : x) e = normal(random);
    return x;
  };
  const std::vector<float> q = numbers(), k = numbers(), v = numbers(), grad_out = numbers();
  std::vector<float> out(kRows * kDim), grad_q(kRows * kDim), grad_k(kRows * kDim),
      grad_v(kRows * kDim), lse(kRows);
  const auto at = [](auto* data) {
    return HeadTensor<std::remove_pointer_t<decltype(data)>>{data, 0, 0, kDim};
  };
  if (!reset_peak()) GTEST_SKIP() << "the system does not reset peak memory";
  const int64_t before = peak_memory();
  AttentionOptions<float> options;
  options.causal = Causal::top_left;
  AttentionForward<float> forward;
  forward.shape = {1, 1, 1, kRows, kRows, kDim, kDim};
  forward.q = at(q.data());
  forward.k = at(k.data());
  forward.v = at(v.data());
  forward.out = at(out.data());
  forward.lse = lse.data();
  attention_forward(forward, options);
  AttentionBackward<float> backward;
  backward.shape = forward.shape;
  backward.q = forward.q;
  backward.k = forward.k;
  backward.v = forward.v;
  backward.out = at(static_cast<const float*>(out.data()));
  backward.grad_out = at(grad_out.data());
  backward.lse = lse.data();
  backward.grad_q = at(grad_q.data());
  backward.grad_k = at(grad_k.data());
  backward.grad_v = at(grad_v.data());
  attention_backward(backward, options);
  EXPECT_LT(peak_memory() - before, int64_t{300} << 20);

  // The first rows see few keys: they are a small problem of their own.
  for (int64_t i : {0, 1, 777, 1500}) {
    double total = 0;
    std::vector<double> sum(kDim);
    for (int64_t j = 0; j <= i; ++j) {
      double score = 0;
      for (int64_t d = 0; d < kDim; ++d) score += double(q[i * kDim + d]) * k[j * kDim + d];
      const double weight = std::exp(score / 4);
      total += weight;
      for (int64_t d = 0; d < kDim; ++d) sum[d] += weight * v[j * kDim + d];
    }
    EXPECT_NEAR(lse[i], std::log(total), 1e-4);
    for (int64_t d = 0; d < kDim; ++d) EXPECT_NEAR(out[i * kDim + d], sum[d] / total, 1e-4);
  }
  // Weights of a row sum to 1, so the gradients of V sum to those of the outputs.
  for (int64_t d = 0; d < kDim; ++d) {
    double of_values = 0, of_outputs = 0;
    for (int64_t i = 0; i < kRows; ++i) {
      of_values += double(grad_v[i * kDim + d]);
      of_outputs += double(grad_out[i * kDim + d]);
    }
    EXPECT_NEAR(of_values, of_outputs, 0.05);
  }
}

}  // namespace
}  // namespace headlight::attention
