// Shares a backward pass out over tasks, and adds up in a fixed order what several of them make.
#include <algorithm>

#include "attention/arguments.h"
#include "attention/passes.h"
#include "attention/problem.h"
#include "attention/run_each.h"
#include "attention/schedule.h"
#include "attention/workspace.h"

namespace headlight::attention {
namespace {

template <typename E>
struct Backward {
  using T = Compute<E>;

  BackwardProblem<E> problem{};
  const Kernels<E>& kernels;
  BackwardSchedule schedule{};
  std::size_t workspace_bytes = 0;
  // Tasks of the bias pass: what a slice of the bias stands for.
  int64_t bias_batches = 1;
  int64_t bias_heads = 1;
  int64_t bias_queries = 0;
  int64_t bias_groups = 1;

  T* task_memory() const { return static_cast<T*>(workspace(Workspace::task, workspace_bytes)); }

  void keys(int64_t task) {
    T* memory = task_memory();
    const AttentionShape& s = problem.shape;
    const int64_t blocks = schedule.tasks / schedule.chunks;
    const int64_t chunk = task / blocks;
    const int64_t first = task % blocks * schedule.kv_heads_per_task;
    const int64_t last = std::min(first + schedule.kv_heads_per_task, s.batch * s.kv_heads);
    for (int64_t head = first; head < last; ++head) {
      const int64_t batch = head / s.kv_heads;
      const int64_t keys = sequence_of(s, batch).keys;
      const Span span{std::min(chunk * schedule.keys_per_chunk, keys),
                      std::min((chunk + 1) * schedule.keys_per_chunk, keys)};
      kernels.backward(problem, batch, head % s.kv_heads, span, chunk, memory);
    }
  }

  // grad_q of one head: the sum of its chunks, in order.
  void sum_chunks(int64_t task) {
    const AttentionShape& s = problem.shape;
    const int64_t batch = task / s.heads;
    const int64_t head = task % s.heads;
    const Sequence sequence = sequence_of(s, batch);
    kernels.sum_parts(problem.grad_q_parts + first_row(s, batch, head) * s.head_dim,
                      problem.rows * s.head_dim, schedule.chunks, sequence.queries, s.head_dim,
                      problem.grad_q.data + batch * problem.grad_q.batch_stride +
                          head * problem.grad_q.head_stride +
                          sequence.first_query * problem.grad_q.row_stride,
                      problem.grad_q.row_stride);
  }

  // One slice of the bias gradient: all sequences and heads that share it, in order.
  void bias(int64_t task) {
    T* memory = task_memory();
    const AttentionShape& s = problem.shape;
    const int64_t group = task % bias_groups;
    const int64_t head = task / bias_groups % bias_heads;
    const int64_t batch = task / bias_groups / bias_heads;
    for (int64_t b = batch; b < s.batch; b += bias_batches) {
      const int64_t count = sequence_of(s, b).queries;
      const Span queries{std::min(group * bias_queries, count),
                         std::min((group + 1) * bias_queries, count)};
      for (int64_t h = head; h < s.heads; h += bias_heads) {
        kernels.add_bias_gradient(problem, b, h, queries, memory);
      }
    }
  }
};

// queries and keys: of the longest sequence.
template <typename T>
void clear(const ScoreTensor<T>& x, const AttentionShape& s, int64_t queries, int64_t keys) {
  const auto once = [](int64_t count, int64_t stride) { return stride == 0 ? 1 : count; };
  for (int64_t b = 0; b < once(s.batch, x.batch_stride); ++b) {
    for (int64_t h = 0; h < once(s.heads, x.head_stride); ++h) {
      for (int64_t i = 0; i < once(queries, x.query_stride); ++i) {
        T* row = x.data + b * x.batch_stride + h * x.head_stride + i * x.query_stride;
        for (int64_t j = 0; j < once(keys, x.key_stride); ++j) row[j * x.key_stride] = 0;
      }
    }
  }
}

}  // namespace

template <typename E>
void run_backward(const KernelTable& kernels, const AttentionBackward<E>& call,
                  const AttentionOptions<Compute<E>>& options, const Parallel& parallel) {
  using T = Compute<E>;
  check(call, options, parallel);
  const AttentionShape& s = call.shape;
  Backward<E> pass{.kernels = of(kernels, E())};
  BackwardProblem<E>& p = pass.problem;
  resolve(call, options, p);
  p.grad_out = call.grad_out;
  p.lse = call.lse;
  p.grad_q = call.grad_q;
  p.grad_k = call.grad_k;
  p.grad_v = call.grad_v;
  p.grad_bias = call.grad_bias;
  p.rows = s.heads * s.queries * (s.query_starts ? 1 : s.batch);
  without_batch_strides(s, p.q, p.k, p.v, p.out, p.grad_out, p.grad_q, p.grad_k, p.grad_v);
  pass.schedule = backward_schedule(s, p.most_keys, options.causal != Causal::none);
  pass.workspace_bytes = sizeof(T) * static_cast<std::size_t>(pass.kernels.backward_workspace(
                                         p, pass.schedule.keys_per_chunk));

  const int64_t sinks = call.grad_sinks ? s.batch * s.heads : 0;
  const bool in_parts = pass.schedule.chunks > 1 && call.grad_q.data;
  const int64_t parts = in_parts ? pass.schedule.chunks * p.rows * s.head_dim : 0;
  auto* memory = static_cast<T*>(
      workspace(Workspace::call, sizeof(T) * static_cast<std::size_t>(sinks + parts)));
  if (call.grad_sinks) p.grad_sink_parts = memory;
  std::fill_n(memory, sinks, T(0));
  if (in_parts) p.grad_q_parts = memory + sinks;

  if (s.batch > 0 && s.queries + s.keys > 0) {
    run_each(parallel, pass.schedule.tasks, [&](int64_t task) { pass.keys(task); });
  }
  if (in_parts) {
    run_each(parallel, s.batch * s.heads, [&](int64_t task) { pass.sum_chunks(task); });
  }
  if (call.grad_sinks) {
    for (int64_t h = 0; h < s.heads; ++h) {
      T sum = 0;
      for (int64_t b = 0; b < s.batch; ++b) sum += p.grad_sink_parts[b * s.heads + h];
      call.grad_sinks[h] = sum;
    }
  }
  if (call.grad_bias.data) {
    clear(call.grad_bias, s, p.most_queries, p.most_keys);
    if (s.batch == 0 || s.queries == 0) return;
    pass.bias_batches = call.grad_bias.batch_stride == 0 ? 1 : s.batch;
    pass.bias_heads = call.grad_bias.head_stride == 0 ? 1 : s.heads;
    pass.bias_queries = call.grad_bias.query_stride == 0
                            ? p.most_queries
                            : std::max<int64_t>(pass.kernels.tile, 128);
    pass.bias_groups = (p.most_queries + pass.bias_queries - 1) / pass.bias_queries;
    run_each(parallel, pass.bias_batches * pass.bias_heads * pass.bias_groups,
             [&](int64_t task) { pass.bias(task); });
  }
}

template void run_backward(const KernelTable&, const AttentionBackward<float>&,
                           const AttentionOptions<float>&, const Parallel&);
template void run_backward(const KernelTable&, const AttentionBackward<double>&,
                           const AttentionOptions<double>&, const Parallel&);
template void run_backward(const KernelTable&, const AttentionBackward<BFloat16>&,
                           const AttentionOptions<float>&, const Parallel&);
template void run_backward(const KernelTable&, const AttentionBackward<Float16>&,
                           const AttentionOptions<float>&, const Parallel&);

}  // namespace headlight::attention
