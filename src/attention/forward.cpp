// Shares a forward pass out over tasks.
#include <algorithm>

#include "attention/arguments.h"
#include "attention/passes.h"
#include "attention/problem.h"
#include "attention/schedule.h"
#include "attention/task_errors.h"
#include "attention/workspace.h"

namespace headlight::attention {

template <typename T>
void run_forward(const KernelTable& kernels, const AttentionForward<T>& call,
                 const AttentionOptions<T>& options, const Parallel& parallel) {
  check(call, options, parallel);
  const AttentionShape& shape = call.shape;
  if (shape.batch == 0 || shape.queries == 0) return;

  struct Context {
    ForwardProblem<T> problem;
    const Kernels<T>& kernels;
    ForwardSchedule schedule;
    int64_t workspace_bytes;
    TaskErrors errors;

    void run(int64_t task) {
      auto* memory =
          static_cast<T*>(workspace(Workspace::task, static_cast<std::size_t>(workspace_bytes)));
      const AttentionShape& s = problem.shape;
      // The parts of a head follow each other, so that its keys are still near; under a causal mask
      // the last queries have the most to do and start first.
      const int64_t group = schedule.query_groups - 1 - task % schedule.query_groups;
      const Span queries{group * schedule.queries_per_task,
                         std::min((group + 1) * schedule.queries_per_task, s.queries)};
      const int64_t first = task / schedule.query_groups * schedule.heads_per_task;
      const int64_t last = std::min(first + schedule.heads_per_task, s.batch * s.heads);
      for (int64_t head = first; head < last; ++head) {
        kernels.forward(problem, head / s.heads, head % s.heads, queries, memory);
      }
    }
  };
  const Kernels<T>& chosen = of(kernels, T());
  Context context{{}, chosen, {}, 0, {}};
  resolve(call, options, context.problem);
  context.problem.out = call.out;
  context.problem.lse = call.lse;
  context.schedule = forward_schedule(shape, options.causal != Causal::none, chosen.tile);
  context.workspace_bytes =
      chosen.forward_workspace(context.problem) * static_cast<int64_t>(sizeof(T));
  run_tasks(
      parallel, context.schedule.tasks,
      [](void* c, int64_t task) {
        auto& x = *static_cast<Context*>(c);
        x.errors.keep([&] { x.run(task); });
      },
      &context);
  context.errors.rethrow();
}

template void run_forward(const KernelTable&, const AttentionForward<float>&,
                          const AttentionOptions<float>&, const Parallel&);
template void run_forward(const KernelTable&, const AttentionForward<double>&,
                          const AttentionOptions<double>&, const Parallel&);

}  // namespace headlight::attention
