// headlight's attention on the standard shapes, beside what the machine could do at best. Needs no
// library but ours; bench/attention.py sets it beside other libraries.
//
//   bench_attention [--shapes bert128,decode] [--directions forward,backward]
//                   [--dtypes fp32,bf16,fp16] [--threads 1,2] [--quick] [--json] [--describe]
//
// --describe: the machine, its peaks and the shapes as JSON, without running anything else.
#include "headlight/attention.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "headlight/error.h"
#include "peaks.h"

namespace {

using namespace headlight;

struct NamedShape {
  const char* name;
  AttentionShape shape;
  bool causal = false;
};

AttentionShape square(int64_t batch, int64_t heads, int64_t tokens, int64_t dim) {
  return {batch, heads, heads, tokens, tokens, dim, dim};
}

const std::vector<NamedShape> kShapes = {
    {"bert128", square(8, 12, 128, 64)},         {"bert512", square(8, 12, 512, 64)},
    {"gpt2k", square(1, 16, 2048, 64), true},    {"long8k", square(1, 8, 8192, 64)},
    {"llama4k", square(1, 32, 4096, 128), true}, {"decode", {8, 32, 8, 1, 4096, 128, 128}},
    {"tiny32", square(64, 8, 32, 16)},           {"tiny64", square(256, 4, 64, 16)},
};

struct Arguments {
  std::map<std::string, std::string> lists = {
      {"--shapes", "bert128,bert512,gpt2k,long8k,llama4k,decode,tiny32,tiny64"},
      {"--directions", "forward,backward"},
      {"--dtypes", "fp32,bf16,fp16"},
      {"--threads", "1,2"}};
  bool quick = false, json = false, describe = false;

  bool has(const std::string& list, const std::string& word) const {
    return ("," + lists.at(list) + ",").find("," + word + ",") != std::string::npos;
  }
};

Arguments parsed(int argc, char** argv) {
  Arguments result;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto list = result.lists.find(word);
    if (word == "--quick") {
      result.quick = true;
    } else if (word == "--json") {
      result.json = true;
    } else if (word == "--describe") {
      result.describe = true;
    } else if (list != result.lists.end() && i + 1 < argc) {
      const std::string known = "," + list->second + ",";
      std::stringstream words(list->second = argv[++i]);
      for (std::string one; std::getline(words, one, ',');) {
        if (word != "--threads" && known.find("," + one + ",") == std::string::npos) {
          throw Error(ErrorKind::usage,
                      word + " has no " + one + "; there are " + known.substr(1, known.size() - 2));
        }
      }
    } else {
      throw Error(ErrorKind::usage, "bench_attention: what is " + word +
                                        "? There are --shapes, --directions, --dtypes, --threads "
                                        "(lists with commas), --quick, --json and --describe.");
    }
  }
  return result;
}

std::vector<int> thread_counts(const Arguments& arguments) {
  std::vector<int> result;
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int count = 1; count <= cores; ++count) {
    if (arguments.has("--threads", std::to_string(count))) result.push_back(count);
  }
  return result;
}

// Numbers of about unit size; bfloat16 and half have other bits for the same numbers.
template <typename E>
std::vector<E> numbers(int64_t count) {
  std::vector<E> result(count);
  uint32_t state = 1;
  for (E& x : result) {
    state = state * 1664525 + 1013904223;
    const float value = static_cast<float>(state >> 8) * 0x1p-23f - 1;
    if constexpr (sizeof(E) == 4) {
      x = value;
    } else {
      const auto bits = std::bit_cast<uint32_t>(value);
      const bool half = std::is_same_v<E, Float16>;
      const auto wide = std::bit_cast<uint32_t>(value * 0x1p-112f) >> 13;  // of 2^-112 times it
      x.bits = static_cast<uint16_t>(half ? ((wide & 0x7fff) | (bits >> 16 & 0x8000)) : bits >> 16);
    }
  }
  return result;
}

// Seconds of one pass over many rounds.
struct Measured {
  double median, fastest;
};

template <typename E>
Measured measured(const NamedShape& named, bool backward, int threads, bool quick) {
  const AttentionShape& s = named.shape;
  const int64_t queries = s.batch * s.heads * s.queries, keys = s.batch * s.kv_heads * s.keys;
  std::vector<E> q = numbers<E>(queries * s.head_dim), k = numbers<E>(keys * s.head_dim),
                 v = numbers<E>(keys * s.value_dim), out(queries * s.value_dim), grad_q, grad_k,
                 grad_v, grad_out;
  std::vector<Compute<E>> lse(queries);
  const auto tensor = [&](auto& x, int64_t heads, int64_t rows, int64_t dim) {
    return HeadTensor<E>{x.data(), heads * rows * dim, rows * dim, dim};
  };
  const auto read = [&](auto& x, int64_t heads, int64_t rows, int64_t dim) {
    return HeadTensor<const E>{x.data(), heads * rows * dim, rows * dim, dim};
  };
  const AttentionForward<E> forward{.shape = s,
                                    .q = read(q, s.heads, s.queries, s.head_dim),
                                    .k = read(k, s.kv_heads, s.keys, s.head_dim),
                                    .v = read(v, s.kv_heads, s.keys, s.value_dim),
                                    .out = tensor(out, s.heads, s.queries, s.value_dim),
                                    .lse = lse.data()};
  const AttentionOptions<Compute<E>> options{.causal =
                                                 named.causal ? Causal::top_left : Causal::none};
  const Parallel parallel{.threads = threads};
  AttentionBackward<E> back{
      .shape = s, .q = forward.q, .k = forward.k, .v = forward.v, .lse = lse.data()};
  if (backward) {
    grad_q.resize(q.size());
    grad_k.resize(k.size());
    grad_v.resize(v.size());
    grad_out = numbers<E>(static_cast<int64_t>(out.size()));
    back.out = read(out, s.heads, s.queries, s.value_dim);
    back.grad_out = read(grad_out, s.heads, s.queries, s.value_dim);
    back.grad_q = tensor(grad_q, s.heads, s.queries, s.head_dim);
    back.grad_k = tensor(grad_k, s.kv_heads, s.keys, s.head_dim);
    back.grad_v = tensor(grad_v, s.kv_heads, s.keys, s.value_dim);
    attention_forward<E>(forward, options, parallel);
  }
  const auto seconds = [&] {
    const auto start = std::chrono::steady_clock::now();
    if (backward) {
      attention_backward<E>(back, options, parallel);
    } else {
      attention_forward<E>(forward, options, parallel);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const double first = seconds();
  const double budget = quick ? 0.3 : 2;
  const int rounds = std::clamp(static_cast<int>(budget / first), 3, quick ? 21 : 101);
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) times.push_back(seconds());
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return {times[rounds / 2], *std::min_element(times.begin(), times.end())};
}

Measured measured(const std::string& dtype, const NamedShape& named, bool backward, int threads,
                  bool quick) {
  if (dtype == "fp32") return measured<float>(named, backward, threads, quick);
  if (dtype == "bf16") return measured<BFloat16>(named, backward, threads, quick);
  return measured<Float16>(named, backward, threads, quick);
}

double operations(const NamedShape& named, bool backward) {
  const AttentionShape& s = named.shape;
  const double cells = static_cast<double>(s.batch * s.heads * s.queries * s.keys);
  return cells * static_cast<double>(s.head_dim) * (backward ? 10 : 4) * (named.causal ? 0.5 : 1);
}

std::string machine() {
  std::ifstream file("/proc/cpuinfo");
  std::string name = "unknown processor";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) name = line.substr(line.find(": ") + 2);
  }
  return name + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores";
}

// {"machine": ..., "isa": ..., "peaks": [one for each number of threads]
std::string described(const std::vector<int>& threads,
                      std::map<int, std::pair<double, double>>& peaks) {
  std::string json = "{\"schema\": \"headlight.bench_attention/1\", \"machine\": \"" + machine() +
                     "\", \"isa\": \"" + attention_isa() + "\", \"peaks\": [";
  for (const int count : threads) {
    peaks[count] = {bench::multiply_add_peak(count) / 1e9, bench::read_bandwidth(count) / 1e9};
    char text[200];
    std::snprintf(
        text, sizeof text, "%s{\"threads\": %d, \"gflops\": %.1f, \"gigabytes_per_second\": %.1f}",
        count == threads.front() ? "" : ", ", count, peaks[count].first, peaks[count].second);
    json += text;
  }
  return json + "]";
}

void print_shapes() {
  const char* comma = "";
  std::printf(", \"shapes\": {");
  for (const auto& [name, s, causal] : kShapes) {
    std::printf(
        "%s\"%s\": {\"batch\": %ld, \"heads\": %ld, \"kv_heads\": %ld, \"queries\": %ld, "
        "\"keys\": %ld, \"dim\": %ld, \"causal\": %s}",
        comma, name, long(s.batch), long(s.heads), long(s.kv_heads), long(s.queries), long(s.keys),
        long(s.head_dim), causal ? "true" : "false");
    comma = ", ";
  }
  std::printf("}}\n");
}

using Peaks = std::map<int, std::pair<double, double>>;  // threads: GFLOP/s, GB/s

void print_row(const NamedShape& named, const std::string& direction, const std::string& dtype,
               int threads, const Measured& took, const Peaks& peaks, bool json) {
  const double gflop = operations(named, direction == "backward") / 1e9;
  if (json) {
    static const char* comma = "";
    std::printf(
        "%s{\"shape\": \"%s\", \"direction\": \"%s\", \"dtype\": \"%s\", \"threads\": %d, "
        "\"implementation\": \"headlight\", \"milliseconds\": %.4f, "
        "\"fastest_milliseconds\": %.4f, \"gflops\": %.2f}",
        comma, named.name, direction.c_str(), dtype.c_str(), threads, took.median * 1e3,
        took.fastest * 1e3, gflop / took.median);
    comma = ", ";
  } else {
    const AttentionShape& s = named.shape;
    const double numbers_read = static_cast<double>(s.batch * s.kv_heads * s.keys) *
                                static_cast<double>(s.head_dim + s.value_dim);
    const double gigabytes = numbers_read * (dtype == "fp32" ? 4 : 2) / 1e9;
    const auto [gflops, bandwidth] = peaks.at(threads);
    const bool decode = s.queries == 1;
    // Of the fastest round, because the peaks are of theirs.
    const double share = (decode ? gigabytes / bandwidth : gflop / gflops) / took.fastest;
    std::printf("%-8s %-9s %-5s %7d %10.3f %10.3f %9.1f %4.0f %% %s\n", named.name,
                direction.c_str(), dtype.c_str(), threads, took.median * 1e3, took.fastest * 1e3,
                gflop / took.median, share * 100, decode ? "of reads" : "of the peak");
  }
  std::fflush(stdout);
}

void run(const Arguments& arguments) {
  const std::vector<int> threads = thread_counts(arguments);
  Peaks peaks;
  const std::string head = described(threads, peaks);
  if (arguments.json || arguments.describe) std::printf("%s", head.c_str());
  if (arguments.describe) return print_shapes();
  if (arguments.json) {
    std::printf(", \"rows\": [");
  } else {
    std::printf("%s, %s\n", machine().c_str(), attention_isa());
    for (const auto& [count, peak] : peaks) {
      std::printf("%d threads: %.1f GFLOP/s, reads %.1f GB/s\n", count, peak.first, peak.second);
    }
    std::printf("%-8s %-9s %-5s %7s %10s %10s %9s\n", "shape", "direction", "dtype", "threads",
                "ms", "fastest", "GFLOP/s");
  }
  for (const NamedShape& named : kShapes) {
    if (!arguments.has("--shapes", named.name)) continue;
    for (const std::string direction : {"forward", "backward"}) {
      const bool backward = direction == "backward";
      if (!arguments.has("--directions", direction) || (backward && named.shape.queries == 1)) {
        continue;
      }
      for (const std::string dtype : {"fp32", "bf16", "fp16"}) {
        if (!arguments.has("--dtypes", dtype)) continue;
        for (const int count : threads) {
          const Measured took = measured(dtype, named, backward, count, arguments.quick);
          print_row(named, direction, dtype, count, took, peaks, arguments.json);
        }
      }
    }
  }
  if (arguments.json) std::printf("]}\n");
}

}  // namespace

int main(int argc, char** argv) try {
  run(parsed(argc, argv));
  return 0;
} catch (const headlight::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.kind());
}
