#include "speed/peaks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace headlight::speed {
namespace {

// Keeps a result alive that nobody reads.
std::atomic<float> sink;

// Seconds of the fastest of `rounds` rounds in which `threads` threads do work(thread, round)
// together. Rounds are short, so that one escapes what else runs on the machine.
template <typename Work>
double fastest(int threads, int rounds, const Work& work) {
  double best = 1e30;
  std::atomic<int64_t> arrived{0};
  std::vector<std::chrono::steady_clock::time_point> ends(threads);
  const auto serve = [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      ++arrived;
      while (arrived < int64_t{2 * round + 1} * threads) {
      }
      const auto start = std::chrono::steady_clock::now();
      work(thread, round);
      ends[thread] = std::chrono::steady_clock::now();
      ++arrived;
      while (arrived < int64_t{2 * round + 2} * threads) {
      }
      const std::chrono::duration<double> took =
          *std::max_element(ends.begin(), ends.end()) - start;
      if (thread == 0) best = std::min(best, took.count());
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(serve, thread);
  serve(0);
  for (std::thread& other : others) other.join();
  return best;
}

// Twelve sums hide the latency of two units and leave registers for the factors.
constexpr int kSums = 12;

template <int kBytes>
struct Vector {
  typedef float Type __attribute__((vector_size(kBytes)));

  // The compiler sees twelve equal sums and must not make one of them.
  [[gnu::always_inline]] static void keep_apart(Type& x) {
#if defined(__clang__)
    asm volatile("" : "+m"(x));  // it looks at registers before it knows the caller's target
#elif defined(__x86_64__)
    asm volatile("" : "+x"(x));
#elif defined(__aarch64__)
    asm volatile("" : "+w"(x));
#endif
  }
};

template <int kBytes>
[[gnu::always_inline]] inline void multiply_adds(int64_t rounds) {
  using Vec = typename Vector<kBytes>::Type;
  Vec sum[kSums] = {}, factor = Vec{} + 0.999f, term = Vec{} + 0.001f;
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      sum[i] = sum[i] * factor + term;
      Vector<kBytes>::keep_apart(sum[i]);
    }
  }
  Vec total = {};
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) total += sum[i];
  sink.store(total[0]);
}

[[gnu::always_inline]] inline void read(const float* data, int64_t count) {
  typedef float Vec __attribute__((vector_size(64), aligned(64)));
  const Vec* from = reinterpret_cast<const Vec*>(data);
  Vec sum[4] = {};
  for (int64_t i = 0; i + 4 <= count / 16; i += 4) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[j] += from[i + j];
  }
  const Vec total = sum[0] + sum[1] + sum[2] + sum[3];
  sink.store(total[0]);
}

struct Machine {
  int vector_bytes;
  void (*multiply_adds)(int64_t rounds);
  void (*read)(const float* data, int64_t count);
};

#if defined(__x86_64__)
[[gnu::target("avx512f")]] void multiply_adds_avx512(int64_t n) { multiply_adds<64>(n); }
[[gnu::target("avx512f")]] void read_avx512(const float* data, int64_t n) { read(data, n); }
[[gnu::target("avx2,fma")]] void multiply_adds_avx2(int64_t n) { multiply_adds<32>(n); }
[[gnu::target("avx2,fma")]] void read_avx2(const float* data, int64_t n) { read(data, n); }
#endif
void multiply_adds_any(int64_t n) { multiply_adds<16>(n); }
void read_any(const float* data, int64_t n) { read(data, n); }

Machine machine() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {64, multiply_adds_avx512, read_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {32, multiply_adds_avx2, read_avx2};
  }
#endif
  return {16, multiply_adds_any, read_any};
}

}  // namespace

double multiply_add_peak(int threads) {
  const Machine best = machine();
  constexpr int64_t kSteps = 100'000;
  const double seconds = fastest(threads, 2000, [&](int, int) { best.multiply_adds(kSteps); });
  const double operations = 2.0 * kSums * kSteps * best.vector_bytes / sizeof(float);
  return threads * operations / seconds;
}

double read_bandwidth(int threads) {
  const Machine best = machine();
  // By the time a piece is read again, far more has been read than a cache holds.
  constexpr int64_t kPiece = int64_t{8} << 20, kPieces = 48, kRounds = 4 * kPieces;
  constexpr int64_t kNumbers = kPiece / static_cast<int64_t>(sizeof(float));
  std::vector<float> memory(kPieces * kNumbers + 16, 1.0f);
  void* aligned = memory.data();
  size_t space = memory.size() * sizeof(float);
  const float* data = static_cast<const float*>(std::align(64, space - 64, aligned, space));
  const int64_t share = kNumbers / threads / 64 * 64;
  const double seconds = fastest(threads, kRounds, [&](int thread, int round) {
    best.read(data + round % kPieces * kNumbers + thread * share, share);
  });
  return static_cast<double>(share * threads) * sizeof(float) / seconds;
}

}  // namespace headlight::speed
