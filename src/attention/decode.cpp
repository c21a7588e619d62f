#include "attention/decode.h"

#include <algorithm>

#include "attention/run_each.h"
#include "attention/schedule.h"
#include "attention/workspace.h"

namespace headlight::attention {
template <typename E>
bool is_decoding(const Kernels<E>& kernels, const ForwardProblem<E>& p) {
  const AttentionShape& s = p.shape;
  const auto whole_vectors = [&](int64_t dim) { return dim >= 32 && dim % kernels.lanes == 0; };
  return p.most_queries <= 8 && s.heads / s.kv_heads * p.most_queries <= 64 &&
         whole_vectors(s.head_dim) && whole_vectors(s.value_dim) && p.drop_below == 0 &&
         !p.with_statistics && !p.statistics.received;
}

template <typename E>
void run_decode(const Kernels<E>& kernels, const ForwardProblem<E>& problem,
                const Parallel& parallel) {
  using T = Compute<E>;
  const AttentionShape& s = problem.shape;
  const DecodeSchedule schedule = decode_schedule(s, problem.most_keys);
  const auto bytes_of = [](int64_t numbers) {
    return sizeof(T) * static_cast<std::size_t>(numbers);
  };
  const std::size_t task_bytes = bytes_of(kernels.decode_workspace(problem));
  auto* parts = static_cast<T*>(
      workspace(Workspace::call, bytes_of(schedule.tasks * kernels.decode_part_size(problem))));
  run_each(parallel, schedule.tasks, [&](int64_t task) {
    auto* memory = static_cast<T*>(workspace(Workspace::task, task_bytes));
    const int64_t kv_head = task / schedule.chunks;
    const int64_t batch = kv_head / s.kv_heads;
    const int64_t keys = sequence_of(s, batch).keys;
    const int64_t begin = task % schedule.chunks * schedule.keys_per_chunk;
    const Span span{std::min(begin, keys), std::min(begin + schedule.keys_per_chunk, keys)};
    kernels.decode(problem, batch, kv_head % s.kv_heads, span, parts, task, memory);
  });
  run_each(parallel, s.batch * s.kv_heads, [&](int64_t kv_head) {
    kernels.merge_decoded(problem, kv_head / s.kv_heads, kv_head % s.kv_heads, parts,
                          kv_head * schedule.chunks, schedule.chunks);
  });
}

template bool is_decoding(const Kernels<float>&, const ForwardProblem<float>&);
template void run_decode(const Kernels<float>&, const ForwardProblem<float>&, const Parallel&);
template bool is_decoding(const Kernels<double>&, const ForwardProblem<double>&);
template void run_decode(const Kernels<double>&, const ForwardProblem<double>&, const Parallel&);
template bool is_decoding(const Kernels<BFloat16>&, const ForwardProblem<BFloat16>&);
template void run_decode(const Kernels<BFloat16>&, const ForwardProblem<BFloat16>&,
                         const Parallel&);
template bool is_decoding(const Kernels<Float16>&, const ForwardProblem<Float16>&);
template void run_decode(const Kernels<Float16>&, const ForwardProblem<Float16>&, const Parallel&);

}  // namespace headlight::attention
