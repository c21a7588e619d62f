#include "speed/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <bit>
#include <fstream>
#include <memory>
#include <thread>

namespace headlight::speed {
namespace {

AttentionShape square(int64_t batch, int64_t heads, int64_t tokens, int64_t dim) {
  return {batch, heads, heads, tokens, tokens, dim, dim};
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

// What one pass reads and writes.
template <typename E>
struct Memory {
  std::vector<E> q, k, v, out, grad_q, grad_k, grad_v, grad_out;
  std::vector<Compute<E>> lse;
  AttentionForward<E> forward;
  AttentionBackward<E> backward;
};

template <typename E>
std::function<void()> pass_of(const AttentionWork& work) {
  const AttentionShape& s = work.of.shape;
  const int64_t queries = s.batch * s.heads * s.queries, keys = s.batch * s.kv_heads * s.keys;
  auto m = std::make_shared<Memory<E>>();
  m->q = numbers<E>(queries * s.head_dim);
  m->k = numbers<E>(keys * s.head_dim);
  m->v = numbers<E>(keys * s.value_dim);
  m->out.resize(static_cast<size_t>(queries * s.value_dim));
  m->lse.resize(static_cast<size_t>(queries));
  const auto tensor = [&](auto& x, int64_t heads, int64_t rows, int64_t dim) {
    return HeadTensor<E>{x.data(), heads * rows * dim, rows * dim, dim};
  };
  const auto read = [&](auto& x, int64_t heads, int64_t rows, int64_t dim) {
    return HeadTensor<const E>{x.data(), heads * rows * dim, rows * dim, dim};
  };
  m->forward = {.shape = s,
                .q = read(m->q, s.heads, s.queries, s.head_dim),
                .k = read(m->k, s.kv_heads, s.keys, s.head_dim),
                .v = read(m->v, s.kv_heads, s.keys, s.value_dim),
                .out = tensor(m->out, s.heads, s.queries, s.value_dim),
                .lse = m->lse.data()};
  const AttentionOptions<Compute<E>> options{.causal =
                                                 work.of.causal ? Causal::top_left : Causal::none};
  const Parallel parallel{.threads = work.threads};
  if (!work.backward) return [=] { attention_forward<E>(m->forward, options, parallel); };
  attention_forward<E>(m->forward, options, parallel);
  m->grad_q.resize(m->q.size());
  m->grad_k.resize(m->k.size());
  m->grad_v.resize(m->v.size());
  m->grad_out = numbers<E>(static_cast<int64_t>(m->out.size()));
  m->backward = {.shape = s,
                 .q = m->forward.q,
                 .k = m->forward.k,
                 .v = m->forward.v,
                 .out = read(m->out, s.heads, s.queries, s.value_dim),
                 .grad_out = read(m->grad_out, s.heads, s.queries, s.value_dim),
                 .lse = m->lse.data(),
                 .grad_q = tensor(m->grad_q, s.heads, s.queries, s.head_dim),
                 .grad_k = tensor(m->grad_k, s.kv_heads, s.keys, s.head_dim),
                 .grad_v = tensor(m->grad_v, s.kv_heads, s.keys, s.value_dim)};
  return [=] { attention_backward<E>(m->backward, options, parallel); };
}

}  // namespace

const std::vector<NamedShape>& standard_shapes() {
  static const std::vector<NamedShape> shapes = {
      {"bert128", square(8, 12, 128, 64)},         {"bert512", square(8, 12, 512, 64)},
      {"gpt2k", square(1, 16, 2048, 64), true},    {"long8k", square(1, 8, 8192, 64)},
      {"llama4k", square(1, 32, 4096, 128), true}, {"decode", {8, 32, 8, 1, 4096, 128, 128}},
      {"tiny32", square(64, 8, 32, 16)},           {"tiny64", square(256, 4, 64, 16)}};
  return shapes;
}

std::function<void()> our_attention(const AttentionWork& work) {
  if (work.dtype == "fp32") return pass_of<float>(work);
  if (work.dtype == "bf16") return pass_of<BFloat16>(work);
  return pass_of<Float16>(work);
}

std::function<void()> libtorch_attention(const AttentionWork& work) {
  const AttentionShape& s = work.of.shape;
  const at::ScalarType type = work.dtype == "fp32"   ? at::kFloat
                              : work.dtype == "bf16" ? at::kBFloat16
                                                     : at::kHalf;
  const auto random = [&](int64_t heads, int64_t rows) {
    return at::randn({s.batch, heads, rows, s.head_dim}).to(type).requires_grad_(work.backward);
  };
  const at::Tensor q = random(s.heads, s.queries), k = random(s.kv_heads, s.keys),
                   v = random(s.kv_heads, s.keys);
  const bool causal = work.of.causal, grouped = s.heads != s.kv_heads;
  const int threads = work.threads;
  const auto forward = [=] {
    at::set_num_threads(threads);
    return at::scaled_dot_product_attention(q, k, v, {}, 0, causal, {}, grouped);
  };
  try {
    if (!work.backward) {
      const std::function<void()> step = [=] {
        const at::NoGradGuard no_gradients;
        forward();
      };
      step();
      return step;
    }
    const at::Tensor out = forward(), grad = at::randn_like(out);
    const std::function<void()> step = [=] {
      at::set_num_threads(threads);
      torch::autograd::grad({out}, {q, k, v}, {grad}, true);
    };
    step();
    return step;
  } catch (const c10::Error&) {
    return {};
  }
}

double operations(const AttentionWork& work) {
  const AttentionShape& s = work.of.shape;
  const auto cells = static_cast<double>(s.batch * s.heads * s.queries * s.keys);
  return cells * static_cast<double>(s.head_dim) * (work.backward ? 10 : 4) *
         (work.of.causal ? 0.5 : 1);
}

double bytes_read(const AttentionWork& work) {
  const AttentionShape& s = work.of.shape;
  return static_cast<double>(s.batch * s.kv_heads * s.keys * (s.head_dim + s.value_dim)) *
         (work.dtype == "fp32" ? 4 : 2);
}

std::string machine() {
  std::ifstream file("/proc/cpuinfo");
  std::string name = "unknown processor";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) name = line.substr(line.find(": ") + 2);
  }
  return name + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores";
}

}  // namespace headlight::speed
