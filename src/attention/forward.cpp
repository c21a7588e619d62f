// Shares a forward pass out over tasks.
#include <algorithm>

#include "attention/arguments.h"
#include "attention/decode.h"
#include "attention/passes.h"
#include "attention/problem.h"
#include "attention/run_each.h"
#include "attention/schedule.h"
#include "attention/workspace.h"

namespace headlight::attention {
namespace {

// Runs a kernel over all units of a schedule.
template <typename E>
void run_units(const ForwardProblem<E>& problem, const Schedule& schedule,
               void (*kernel)(const ForwardProblem<E>&, int64_t, int64_t, Span, Compute<E>*),
               std::size_t workspace_bytes, const Parallel& parallel) {
  run_each(parallel, schedule.tasks, [&](int64_t task) {
    auto* memory = static_cast<Compute<E>*>(workspace(Workspace::task, workspace_bytes));
    const int64_t first = task * schedule.units_per_task;
    const int64_t last = std::min(first + schedule.units_per_task, schedule.units);
    for (int64_t unit = first; unit < last; ++unit) {
      const Unit u = unit_of(schedule, problem.shape.batch, unit);
      kernel(problem, u.batch, u.head, u.rows, memory);
    }
  });
}

template <typename T>
bool of_rows(const AttentionStatistics<T>& x) {
  return x.entropy || x.distance || x.first || x.self || x.previous || x.next || x.local || x.top ||
         x.top_key || x.sink;
}

}  // namespace

template <typename E>
void run_forward(const KernelTable& kernels, const AttentionForward<E>& call,
                 const AttentionOptions<Compute<E>>& options, const Parallel& parallel) {
  using T = Compute<E>;
  check(call, options, parallel);
  const AttentionShape& shape = call.shape;
  const Kernels<E>& chosen = of(kernels, E());
  ForwardProblem<E> p;
  resolve(call, options, p);
  without_batch_strides(shape, p.q, p.k, p.v, p.out);
  p.lse = call.lse;
  p.statistics = call.statistics;
  p.with_statistics = of_rows(call.statistics);
  p.local_window = call.statistics.local_window;
  if (is_decoding(chosen, p)) return run_decode(chosen, p, parallel);

  // Unit numbers of packed sequences, and the row denominators that `received` needs.
  const auto starts = static_cast<std::size_t>(shape.query_starts ? shape.batch + 1 : 0);
  const auto rows = static_cast<std::size_t>(
      call.statistics.received ? shape.heads * shape.queries * (starts ? 1 : shape.batch) : 0);
  auto* memory =
      static_cast<char*>(workspace(Workspace::call, starts * sizeof(int64_t) + rows * sizeof(T)));
  auto* first_unit = reinterpret_cast<int64_t*>(memory);
  if (call.statistics.received) p.key_lse = reinterpret_cast<T*>(first_unit + starts);

  const std::size_t bytes = sizeof(T) * static_cast<std::size_t>(chosen.forward_workspace(p));
  run_units(p, forward_schedule(shape, options.causal != Causal::none, chosen.tile, first_unit),
            chosen.forward, bytes, parallel);
  if (call.statistics.received) {
    run_units(p, received_schedule(shape, first_unit), chosen.received, bytes, parallel);
  }
}

template void run_forward(const KernelTable&, const AttentionForward<float>&,
                          const AttentionOptions<float>&, const Parallel&);
template void run_forward(const KernelTable&, const AttentionForward<double>&,
                          const AttentionOptions<double>&, const Parallel&);
template void run_forward(const KernelTable&, const AttentionForward<BFloat16>&,
                          const AttentionOptions<float>&, const Parallel&);
template void run_forward(const KernelTable&, const AttentionForward<Float16>&,
                          const AttentionOptions<float>&, const Parallel&);

}  // namespace headlight::attention
