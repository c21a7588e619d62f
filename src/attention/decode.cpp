#include "attention/decode.h"

#include <algorithm>

#include "attention/schedule.h"
#include "attention/task_errors.h"
#include "attention/workspace.h"

namespace headlight::attention {
namespace {

template <typename E>
struct Decode {
  using T = Compute<E>;

  const Kernels<E>& kernels;
  const ForwardProblem<E>& problem;
  DecodeSchedule schedule{};
  std::size_t workspace_bytes = 0;
  T* parts = nullptr;
  TaskErrors errors{};

  void chunk(int64_t task) {
    auto* memory = static_cast<T*>(workspace(Workspace::task, workspace_bytes));
    const int64_t kv_head = task / schedule.chunks;
    const int64_t batch = kv_head / problem.shape.kv_heads;
    const int64_t keys = sequence_of(problem.shape, batch).keys;
    const int64_t begin = task % schedule.chunks * schedule.keys_per_chunk;
    const Span span{std::min(begin, keys), std::min(begin + schedule.keys_per_chunk, keys)};
    kernels.decode(problem, batch, kv_head % problem.shape.kv_heads, span, parts, task, memory);
  }

  void merge(int64_t kv_head) {
    kernels.merge_decoded(problem, kv_head / problem.shape.kv_heads,
                          kv_head % problem.shape.kv_heads, parts, kv_head * schedule.chunks,
                          schedule.chunks);
  }

  template <void (Decode::*kStep)(int64_t)>
  void run(const Parallel& parallel, int64_t tasks) {
    run_tasks(
        parallel, tasks,
        [](void* c, int64_t task) {
          auto& x = *static_cast<Decode*>(c);
          x.errors.keep([&] { (x.*kStep)(task); });
        },
        this);
    errors.rethrow();
  }
};

}  // namespace

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
  Decode<E> pass{kernels, problem};
  pass.schedule = decode_schedule(problem.shape, problem.most_keys);
  pass.workspace_bytes = sizeof(T) * static_cast<std::size_t>(kernels.decode_workspace(problem));
  const int64_t numbers = pass.schedule.tasks * kernels.decode_part_size(problem);
  pass.parts =
      static_cast<T*>(workspace(Workspace::call, sizeof(T) * static_cast<std::size_t>(numbers)));
  pass.template run<&Decode<E>::chunk>(parallel, pass.schedule.tasks);
  pass.template run<&Decode<E>::merge>(parallel, problem.shape.batch * problem.shape.kv_heads);
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
