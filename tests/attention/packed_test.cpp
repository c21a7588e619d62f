// Packed sequences against each of them alone.
#include "headlight/error.h"
#include "random_case.h"

namespace headlight::attention {
namespace {

template <typename E>
struct Pass {
  std::vector<E> out, grad_q, grad_k, grad_v;
  std::vector<Compute<E>> lse, entropy, received, grad_sinks;
};

// q, k, v and grad_out lie row by row, [rows, heads, dim].
template <typename E>
struct Tensors {
  AttentionShape shape;
  std::vector<E> q, k, v, grad_out;
};

template <typename E>
Pass<E> run(const KernelTable& table, const Tensors<E>& x, AttentionOptions<Compute<E>> o,
            int threads) {
  const AttentionShape& s = x.shape;
  Pass<E> r;
  r.out.resize(x.grad_out.size());
  r.grad_q.resize(x.q.size());
  r.grad_k.resize(x.k.size());
  r.grad_v.resize(x.v.size());
  r.lse.resize(s.heads * s.queries);
  r.entropy.resize(s.heads * s.queries);
  r.received.resize(s.heads * s.keys);
  r.grad_sinks.resize(s.heads);
  const auto at = [](auto* data, int64_t heads, int64_t dim) {
    return HeadTensor<std::remove_pointer_t<decltype(data)>>{data, 0, dim, heads * dim};
  };
  AttentionForward<E> forward;
  forward.shape = s;
  forward.q = at(x.q.data(), s.heads, s.head_dim);
  forward.k = at(x.k.data(), s.kv_heads, s.head_dim);
  forward.v = at(x.v.data(), s.kv_heads, s.value_dim);
  forward.out = at(r.out.data(), s.heads, s.value_dim);
  forward.lse = r.lse.data();
  forward.statistics.entropy = r.entropy.data();
  forward.statistics.received = r.received.data();
  run_forward(table, forward, o, {nullptr, nullptr, threads});
  AttentionBackward<E> backward;
  backward.shape = s;
  backward.q = forward.q;
  backward.k = forward.k;
  backward.v = forward.v;
  backward.out = at(static_cast<const E*>(r.out.data()), s.heads, s.value_dim);
  backward.grad_out = at(x.grad_out.data(), s.heads, s.value_dim);
  backward.lse = r.lse.data();
  backward.grad_q = at(r.grad_q.data(), s.heads, s.head_dim);
  backward.grad_k = at(r.grad_k.data(), s.kv_heads, s.head_dim);
  backward.grad_v = at(r.grad_v.data(), s.kv_heads, s.value_dim);
  backward.grad_sinks = r.grad_sinks.data();
  run_backward(table, backward, o, {nullptr, nullptr, threads});
  return r;
}

template <typename E>
std::vector<E> part(const std::vector<E>& x, int64_t first, int64_t count, int64_t width) {
  return {x.begin() + first * width, x.begin() + (first + count) * width};
}

// [heads, rows] -> the rows of one sequence.
template <typename T>
std::vector<T> columns(const std::vector<T>& x, int64_t heads, int64_t first, int64_t count) {
  std::vector<T> result;
  const auto rows = static_cast<int64_t>(x.size()) / heads;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t i = 0; i < count; ++i) result.push_back(x[h * rows + first + i]);
  }
  return result;
}

template <typename E>
void expect_close(const std::vector<E>& got, const std::vector<E>& expected, double tolerance,
                  const char* name) {
  std::vector<double> a, b;
  for (E e : got) a.push_back(to_double(e));
  for (E e : expected) b.push_back(to_double(e));
  expect_near(a, b, tolerance, name);
}

template <typename E>
void check(uint64_t seed, double tolerance) {
  Draw draw(seed);
  const int64_t batch = draw.from(1, 5);
  std::vector<int64_t> query_starts = {0}, key_starts = {0};
  for (int64_t b = 0; b < batch; ++b) {
    query_starts.push_back(query_starts.back() + (draw.chance(20) ? 0 : draw.from(1, 150)));
    key_starts.push_back(key_starts.back() + (draw.chance(20) ? 0 : draw.from(1, 300)));
  }
  AttentionShape s;
  s.batch = batch;
  s.kv_heads = draw.from(1, 2);
  s.heads = s.kv_heads * draw.from(1, 3);
  s.queries = query_starts.back();
  s.keys = key_starts.back();
  const int64_t widest = draw.chance(25) ? 4 : 40;
  s.head_dim = draw.from(1, widest);
  s.value_dim = draw.from(1, widest);
  s.query_starts = query_starts.data();
  s.key_starts = key_starts.data();
  const auto numbers = [&](int64_t count) {
    std::vector<E> result;
    for (double x : normal_numbers(draw.random, count)) result.push_back(to_element<E>(x));
    return result;
  };
  const Tensors<E> x{
      s, numbers(s.queries * s.heads * s.head_dim), numbers(s.keys * s.kv_heads * s.head_dim),
      numbers(s.keys * s.kv_heads * s.value_dim), numbers(s.queries * s.heads * s.value_dim)};
  AttentionOptions<Compute<E>> o;
  o.causal = static_cast<Causal>(draw.from(0, 2));
  if (draw.chance(50)) o.window_left = draw.from(0, 40);
  const std::vector<double> logits = normal_numbers(draw.random, s.heads);
  const std::vector<Compute<E>> sinks(logits.begin(), logits.end());
  o.sinks = sinks.data();
  for (const KernelTable* table : tables_under_test()) {
    SCOPED_TRACE(std::string(table->name) + ", case " + std::to_string(seed));
    const Pass<E> packed = run(*table, x, o, 2);
    const Pass<E> again = run(*table, x, o, 1);
    EXPECT_TRUE(packed.lse == again.lse && packed.received == again.received);
    std::vector<Compute<E>> sum(s.heads);
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t q0 = query_starts[b], qn = query_starts[b + 1] - q0;
      const int64_t k0 = key_starts[b], kn = key_starts[b + 1] - k0;
      AttentionShape one = s;
      one.batch = 1;
      one.queries = qn;
      one.keys = kn;
      one.query_starts = one.key_starts = nullptr;
      const int64_t q_width = s.heads * s.head_dim, o_width = s.heads * s.value_dim;
      const int64_t k_width = s.kv_heads * s.head_dim, v_width = s.kv_heads * s.value_dim;
      const Pass<E> alone = run<E>(*table,
                                   {one, part(x.q, q0, qn, q_width), part(x.k, k0, kn, k_width),
                                    part(x.v, k0, kn, v_width), part(x.grad_out, q0, qn, o_width)},
                                   o, 1);
      expect_close(part(packed.out, q0, qn, o_width), alone.out, tolerance, "out");
      expect_close(part(packed.grad_q, q0, qn, q_width), alone.grad_q, tolerance, "grad_q");
      expect_close(part(packed.grad_k, k0, kn, k_width), alone.grad_k, tolerance, "grad_k");
      expect_close(part(packed.grad_v, k0, kn, v_width), alone.grad_v, tolerance, "grad_v");
      expect_close(columns(packed.lse, s.heads, q0, qn), alone.lse, 1e-5, "lse");
      expect_close(columns(packed.entropy, s.heads, q0, qn), alone.entropy, 1e-4, "entropy");
      expect_close(columns(packed.received, s.heads, k0, kn), alone.received, 1e-4, "received");
      for (int64_t h = 0; h < s.heads; ++h) sum[h] += alone.grad_sinks[h];
    }
    expect_close(packed.grad_sinks, sum, std::max(tolerance, 1e-4), "grad_sinks");
  }
}

TEST(PackedAttention, IsThatOfEverySequenceAlone) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    check<float>(seed, 2e-5);
    check<double>(seed, 1e-12);
    check<BFloat16>(seed, 1e-2);
    if (HasFatalFailure()) return;
  }
}

TEST(PackedAttention, RefusesStartsThatMakeNoSense) {
  std::vector<float> x(100);
  AttentionForward<float> call;
  call.shape = {2, 1, 1, 5, 5, 4, 4};
  call.q = call.k = call.v = {x.data(), 0, 4, 4};
  call.out = {x.data() + 40, 0, 4, 4};
  const auto refused = [&](std::vector<int64_t> queries, std::vector<int64_t> keys,
                           const std::string& says) {
    call.shape.query_starts = queries.data();
    call.shape.key_starts = keys.empty() ? nullptr : keys.data();
    try {
      attention_forward(call);
      ADD_FAILURE() << "accepted; expected: " << says;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
  };
  refused({0, 2, 5}, {}, "go together");
  refused({1, 2, 5}, {0, 2, 5}, "query_starts[0] is 1");
  refused({0, 3, 5}, {0, 6, 5}, "key_starts[2] is 5, less than");
  refused({0, 2, 4}, {0, 2, 5}, "query_starts ends with 4, but queries is 5");
}

}  // namespace
}  // namespace headlight::attention
