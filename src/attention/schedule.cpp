#include "attention/schedule.h"

#include <algorithm>

#include "attention/pool.h"

namespace headlight::attention {
namespace {

// About 100 microseconds of one core: enough to hide the dispatch, little enough to share out.
constexpr double kTaskOperations = 4e6;

// Operations of a head; an exponential counts as 30.
double operations(const AttentionShape& s, bool causal) {
  const double pairs = static_cast<double>(s.queries) * static_cast<double>(s.keys);
  const double each = 2.0 * static_cast<double>(s.head_dim + s.value_dim) + 30.0;
  return pairs * each * (causal ? 0.5 : 1.0) + 1;
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

ForwardSchedule forward_schedule(const AttentionShape& s, bool causal, int64_t tile) {
  ForwardSchedule result;
  const int64_t heads = s.batch * s.heads;
  const double cost = operations(s, causal);
  if (cost < kTaskOperations) {
    result.heads_per_task = std::clamp<int64_t>(static_cast<int64_t>(kTaskOperations / cost), 1,
                                                std::max<int64_t>(1, heads));
    result.queries_per_task = s.queries;
  } else {
    // Large parts read the keys less often; small ones keep many threads busy with few heads.
    const int64_t tiles = divide_up(s.queries, tile);
    const int64_t few = std::max(divide_up(s.queries, 256), divide_up(64, heads));
    const int64_t groups = std::min({tiles, few, static_cast<int64_t>(cost / kTaskOperations)});
    result.queries_per_task = divide_up(tiles, std::max<int64_t>(1, groups)) * tile;
    result.query_groups = divide_up(s.queries, result.queries_per_task);
  }
  result.tasks = divide_up(heads, result.heads_per_task) * result.query_groups;
  return result;
}

BackwardSchedule backward_schedule(const AttentionShape& s, bool causal) {
  BackwardSchedule result;
  const int64_t kv_heads = s.batch * s.kv_heads;
  const double cost =
      2.5 * operations(s, causal) * static_cast<double>(s.heads / std::max<int64_t>(1, s.kv_heads));
  result.keys_per_chunk = s.keys;
  if (cost < kTaskOperations) {
    result.kv_heads_per_task = std::clamp<int64_t>(static_cast<int64_t>(kTaskOperations / cost), 1,
                                                   std::max<int64_t>(1, kv_heads));
  } else if (kv_heads < 8 && cost > 20 * kTaskOperations) {
    // Few and long: share out the keys. Each chunk keeps its own grad_q, so there are at most 8.
    const int64_t chunks = std::min(divide_up(8, kv_heads), divide_up(s.keys, 256));
    result.keys_per_chunk = divide_up(divide_up(s.keys, chunks), 128) * 128;
    result.chunks = divide_up(s.keys, result.keys_per_chunk);
  }
  result.tasks = divide_up(kv_heads, result.kv_heads_per_task) * result.chunks;
  return result;
}

void run_tasks(const Parallel& parallel, int64_t tasks, void (*body)(void*, int64_t),
               void* context) {
  if (parallel.run && tasks > 1) {
    parallel.run(parallel.pool, tasks, body, context);
  } else if (tasks <= 1 || parallel.threads == 1) {
    for (int64_t task = 0; task < tasks; ++task) body(context, task);
  } else {
    run_on_pool(parallel.threads, tasks, body, context);
  }
}

}  // namespace headlight::attention
