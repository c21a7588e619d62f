// Runs a Case through the kernels under test, in any data type and memory layout.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "attention/isa.h"
#include "attention/passes.h"
#include "element.h"
#include "oracle.h"

namespace headlight::attention {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Where the rows of a [batch, heads, rows, dim] tensor lie.
enum class Layout { head_major, head_interleaved, packed_with_gaps };

// Memory around and between the rows holds NaN, so that reading it shows and writing it is caught.
template <typename T>
struct Placed {
  std::vector<T> memory;
  HeadTensor<T> tensor;
  int64_t batch, heads, rows, dim;

  Placed(Layout layout, int64_t batch_, int64_t heads_, int64_t rows_, int64_t dim_)
      : batch(batch_), heads(heads_), rows(rows_), dim(dim_) {
    const int64_t gap = layout == Layout::packed_with_gaps ? 5 : 0;
    if (layout == Layout::head_major) {
      tensor.row_stride = dim;
      tensor.head_stride = rows * dim;
    } else {
      tensor.head_stride = dim + gap;
      tensor.row_stride = heads * tensor.head_stride + 2 * gap;
    }
    tensor.batch_stride = rows * heads * (dim + gap) + rows * 2 * gap;
    memory.assign(batch * tensor.batch_stride + 2 * kMargin, kNothing);
    tensor.data = memory.data() + kMargin;
  }

  void fill(const std::vector<double>& dense) {
    each([&](T& x, int64_t n) { x = to_element<T>(dense[n]); });
  }

  std::vector<double> dense() const {
    std::vector<double> result(batch * heads * rows * dim);
    const_cast<Placed*>(this)->each([&](T& x, int64_t n) { result[n] = to_double(x); });
    return result;
  }

  // Whether all memory but the tensor still holds NaN.
  bool margins_untouched() const {
    Placed copy = *this;
    copy.tensor.data = copy.memory.data() + kMargin;
    copy.each([&](T& x, int64_t) { x = kNothing; });
    for (T x : copy.memory) {
      if (!std::isnan(to_double(x))) return false;
    }
    return true;
  }

  HeadTensor<const T> read() const {
    return {memory.data() + kMargin, tensor.batch_stride, tensor.head_stride, tensor.row_stride};
  }

 private:
  static constexpr int64_t kMargin = 64;
  const T kNothing = to_element<T>(std::numeric_limits<double>::quiet_NaN());

  template <typename Body>
  void each(const Body& body) {
    int64_t n = 0;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t i = 0; i < rows; ++i) {
          T* row = tensor.data + b * tensor.batch_stride + h * tensor.head_stride +
                   i * tensor.row_stride;
          for (int64_t d = 0; d < dim; ++d) body(row[d], n++);
        }
      }
    }
  }
};

template <typename T>
ScoreTensor<T> placed_scores(const Broadcast& x, const AttentionShape& s, T* data) {
  ScoreTensor<T> result;
  if (x.values.empty()) return result;
  result.data = data;
  int64_t stride = 1;
  const auto take = [&](bool over, int64_t size) {
    const int64_t mine = over ? stride : 0;
    if (over) stride *= size;
    return mine;
  };
  result.key_stride = take(x.over_keys, s.keys);
  result.query_stride = take(x.over_queries, s.queries);
  result.head_stride = take(x.over_heads, s.heads);
  result.batch_stride = take(x.over_batch, s.batch);
  return result;
}

struct RunOptions {
  Layout layout = Layout::head_major;
  Parallel parallel{nullptr, nullptr, 1};
  bool backward = true;
};

// The options of a case that need no memory of T.
template <typename T>
AttentionOptions<T> number_options(const Case& c) {
  AttentionOptions<T> o;
  o.scale = c.numbers.scale;
  o.softcap = c.numbers.softcap;
  o.causal = c.numbers.causal;
  o.causal_offset = c.numbers.causal_offset;
  o.window_left = c.numbers.window_left;
  o.window_right = c.numbers.window_right;
  o.dropout = c.numbers.dropout;
  o.seed = c.numbers.seed;
  if (!c.key_lengths.empty()) o.key_lengths = c.key_lengths.data();
  return o;
}

template <typename E>
Results run_case(const KernelTable& kernels, const Case& c, const RunOptions& how = {}) {
  using T = Compute<E>;
  const AttentionShape& s = c.shape;
  AttentionOptions<T> o = number_options<T>(c);
  const std::vector<T> mask(c.mask.values.begin(), c.mask.values.end());
  const std::vector<T> bias(c.bias.values.begin(), c.bias.values.end());
  const std::vector<T> sinks(c.sinks.begin(), c.sinks.end());
  std::vector<unsigned char> allowed(c.allowed.values.begin(), c.allowed.values.end());
  o.mask = placed_scores<const T>(c.mask, s, mask.data());
  o.bias = placed_scores<const T>(c.bias, s, bias.data());
  o.allowed = placed_scores<const bool>(c.allowed, s, reinterpret_cast<bool*>(allowed.data()));
  if (!sinks.empty()) o.sinks = sinks.data();

  Placed<E> q(how.layout, s.batch, s.heads, s.queries, s.head_dim);
  Placed<E> k(how.layout, s.batch, s.kv_heads, s.keys, s.head_dim);
  Placed<E> v(how.layout, s.batch, s.kv_heads, s.keys, s.value_dim);
  Placed<E> out(how.layout, s.batch, s.heads, s.queries, s.value_dim);
  q.fill(c.q);
  k.fill(c.k);
  v.fill(c.v);
  std::vector<T> lse(s.batch * s.heads * s.queries);
  run_forward<E>(kernels, {s, q.read(), k.read(), v.read(), out.tensor, lse.data(), {}}, o,
                 how.parallel);
  EXPECT_TRUE(out.margins_untouched());
  Results r;
  r.out = out.dense();
  r.lse.assign(lse.begin(), lse.end());
  if (!how.backward) return r;

  Placed<E> grad_out(how.layout, s.batch, s.heads, s.queries, s.value_dim);
  grad_out.fill(c.grad_out);
  Placed<E> grad_q(how.layout, s.batch, s.heads, s.queries, s.head_dim);
  Placed<E> grad_k(how.layout, s.batch, s.kv_heads, s.keys, s.head_dim);
  Placed<E> grad_v(how.layout, s.batch, s.kv_heads, s.keys, s.value_dim);
  std::vector<T> grad_bias(bias.size(), 7), grad_sinks(sinks.size(), 7);
  AttentionBackward<E> back{
      s,          q.read(),      k.read(),      v.read(),      out.read(), grad_out.read(),
      lse.data(), grad_q.tensor, grad_k.tensor, grad_v.tensor, {},         nullptr};
  back.grad_bias = placed_scores<T>(c.bias, s, grad_bias.data());
  if (!sinks.empty()) back.grad_sinks = grad_sinks.data();
  run_backward<E>(kernels, back, o, how.parallel);
  EXPECT_TRUE(grad_q.margins_untouched() && grad_k.margins_untouched() &&
              grad_v.margins_untouched());
  r.grad_q = grad_q.dense();
  r.grad_k = grad_k.dense();
  r.grad_v = grad_v.dense();
  r.grad_bias.assign(grad_bias.begin(), grad_bias.end());
  r.grad_sinks.assign(grad_sinks.begin(), grad_sinks.end());
  return r;
}

// Normal numbers, rounded to float so that every data type starts from the same ones.
inline std::vector<double> normal_numbers(std::mt19937_64& random, int64_t count, double size = 1) {
  std::normal_distribution<double> normal(0, size);
  std::vector<double> x(count);
  for (double& e : x) e = static_cast<float>(normal(random));
  return x;
}

inline Case plain_case(const AttentionShape& s, uint64_t seed) {
  std::mt19937_64 random(seed);
  Case c;
  c.shape = s;
  c.q = normal_numbers(random, s.batch * s.heads * s.queries * s.head_dim);
  c.k = normal_numbers(random, s.batch * s.kv_heads * s.keys * s.head_dim);
  c.v = normal_numbers(random, s.batch * s.kv_heads * s.keys * s.value_dim);
  c.grad_out = normal_numbers(random, s.batch * s.heads * s.queries * s.value_dim);
  return c;
}

// Makes the case one of tensors of E.
template <typename E>
void round_inputs(Case& c) {
  for (std::vector<double>* x : {&c.q, &c.k, &c.v, &c.grad_out}) {
    for (double& e : *x) e = rounded<E>(e);
  }
}

// Every entry of got within tolerance * (1 + |expected|), infinities and NaN in the same places.
inline void expect_near(const std::vector<double>& got, const std::vector<double>& expected,
                        double tolerance, const std::string& name) {
  ASSERT_EQ(got.size(), expected.size()) << name;
  for (std::size_t n = 0; n < got.size(); ++n) {
    const bool same = got[n] == expected[n] || (std::isnan(got[n]) && std::isnan(expected[n])) ||
                      std::abs(got[n] - expected[n]) <= tolerance * (1 + std::abs(expected[n]));
    ASSERT_TRUE(same) << name << "[" << n << "] is " << got[n] << ", expected " << expected[n];
  }
}

inline void expect_near(const Results& got, const Results& expected, double tolerance) {
  expect_near(got.out, expected.out, tolerance, "out");
  expect_near(got.lse, expected.lse, tolerance, "lse");
  if (got.grad_q.empty()) return;
  expect_near(got.grad_q, expected.grad_q, tolerance, "grad_q");
  expect_near(got.grad_k, expected.grad_k, tolerance, "grad_k");
  expect_near(got.grad_v, expected.grad_v, tolerance, "grad_v");
  expect_near(got.grad_bias, expected.grad_bias, tolerance, "grad_bias");
  expect_near(got.grad_sinks, expected.grad_sinks, tolerance, "grad_sinks");
}

// All kernels that can run here, and the 512-bit sources lowered to AVX2 (wide.cpp, wide_bf16.cpp).
std::vector<const KernelTable*> tables_under_test();

// Whether products of BFloat16 go over pairs, whose weights are rounded.
inline bool multiplies_pairs(const KernelTable& table) {
  return std::string(table.name).ends_with("_bf16");
}

}  // namespace headlight::attention
