#include "attention/schedule.h"

#include <algorithm>

#include "attention/pool.h"

namespace headlight::attention {
namespace {

// About 100 microseconds of one core: enough to hide the dispatch, little enough to share out.
constexpr double kTaskOperations = 4e6;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Operations of one query head of a sequence of average length; an exponential counts as 30.
double operations(const AttentionShape& s, bool causal) {
  const double sequences = s.query_starts ? static_cast<double>(std::max<int64_t>(1, s.batch)) : 1;
  const double pairs =
      static_cast<double>(s.queries) * static_cast<double>(s.keys) / (sequences * sequences);
  const double each = 2.0 * static_cast<double>(s.head_dim + s.value_dim) + 30.0;
  return pairs * each * (causal ? 0.5 : 1.0) + 1;
}

// Cuts the rows of every head into parts and groups small parts. rows and starts are of queries or
// of keys; cost is that of one head.
Schedule schedule_of(const AttentionShape& s, int64_t rows, const int64_t* starts,
                     int64_t rows_per_part, double cost, int64_t* first_unit) {
  Schedule result;
  result.heads = s.heads;
  result.rows = rows;
  result.rows_per_part = std::max<int64_t>(1, rows_per_part);
  if (starts) {
    int64_t units = 0;
    for (int64_t b = 0; b < s.batch; ++b) {
      first_unit[b] = units;
      units += s.heads * divide_up(starts[b + 1] - starts[b], result.rows_per_part);
    }
    first_unit[s.batch] = units;
    result.first_unit = first_unit;
    result.row_starts = starts;
    result.units = units;
  } else {
    result.parts = divide_up(rows, result.rows_per_part);
    result.units = s.batch * s.heads * result.parts;
  }
  const double heads = static_cast<double>(std::max<int64_t>(1, s.batch * s.heads));
  const double each = cost * heads / static_cast<double>(std::max<int64_t>(1, result.units));
  result.units_per_task = std::clamp<int64_t>(static_cast<int64_t>(kTaskOperations / each), 1,
                                              std::max<int64_t>(1, result.units));
  result.tasks = divide_up(result.units, result.units_per_task);
  return result;
}

}  // namespace

Unit unit_of(const Schedule& schedule, int64_t batch_count, int64_t unit) {
  int64_t batch = 0;
  int64_t parts = schedule.parts;
  int64_t rows = schedule.rows;
  if (schedule.first_unit) {
    const int64_t* end = schedule.first_unit + batch_count + 1;
    batch = std::upper_bound(schedule.first_unit, end, unit) - schedule.first_unit - 1;
    rows = schedule.row_starts[batch + 1] - schedule.row_starts[batch];
    parts = divide_up(rows, schedule.rows_per_part);
    unit -= schedule.first_unit[batch];
  } else {
    batch = unit / (schedule.heads * parts);
    unit %= schedule.heads * parts;
  }
  // The parts of a head follow each other, so that its keys are still near; under a causal mask the
  // last queries have the most to do and start first.
  const int64_t part = parts - 1 - unit % parts;
  const int64_t begin = part * schedule.rows_per_part;
  return {batch, unit / parts, {begin, std::min(begin + schedule.rows_per_part, rows)}};
}

Schedule forward_schedule(const AttentionShape& s, bool causal, int64_t tile, int64_t* first_unit) {
  const double cost = operations(s, causal);
  const int64_t queries =
      s.query_starts ? divide_up(s.queries, std::max<int64_t>(1, s.batch)) : s.queries;
  // Large parts read the keys less often; small ones keep many threads busy with few heads.
  const int64_t tiles = std::max<int64_t>(1, divide_up(queries, tile));
  const int64_t heads = std::max<int64_t>(1, s.batch * s.heads);
  const int64_t few = std::max(divide_up(queries, 256), divide_up(64, heads));
  const int64_t parts =
      std::max<int64_t>(1, std::min({tiles, few, static_cast<int64_t>(cost / kTaskOperations)}));
  return schedule_of(s, s.queries, s.query_starts, divide_up(tiles, parts) * tile, cost,
                     first_unit);
}

Schedule received_schedule(const AttentionShape& s, int64_t* first_unit) {
  return schedule_of(s, s.keys, s.key_starts, 256, operations(s, false) / 2, first_unit);
}

DecodeSchedule decode_schedule(const AttentionShape& s, int64_t most_keys) {
  // At least 64 tasks, if their keys are worth a dispatch.
  const int64_t kv_heads = std::max<int64_t>(1, s.batch * s.kv_heads);
  const int64_t wanted = std::min(divide_up(64, kv_heads), divide_up(most_keys, 512));
  DecodeSchedule result;
  result.keys_per_chunk =
      std::max<int64_t>(1, divide_up(divide_up(most_keys, std::max<int64_t>(1, wanted)), 64)) * 64;
  result.chunks = std::max<int64_t>(1, divide_up(most_keys, result.keys_per_chunk));
  result.tasks = s.batch * s.kv_heads * result.chunks;
  return result;
}

BackwardSchedule backward_schedule(const AttentionShape& s, int64_t most_keys, bool causal) {
  BackwardSchedule result;
  const int64_t kv_heads = s.batch * s.kv_heads;
  const double cost = 2.5 * operations(s, causal) * static_cast<double>(s.heads) /
                      static_cast<double>(std::max<int64_t>(1, s.kv_heads));
  result.keys_per_chunk = most_keys;
  if (cost < kTaskOperations) {
    result.kv_heads_per_task = std::clamp<int64_t>(static_cast<int64_t>(kTaskOperations / cost), 1,
                                                   std::max<int64_t>(1, kv_heads));
  } else if (kv_heads < 8 && cost > 20 * kTaskOperations) {
    // Few and long: share out the keys. Each chunk keeps its own grad_q, so there are at most 8.
    const int64_t chunks = std::min(divide_up(8, kv_heads), divide_up(most_keys, 256));
    result.keys_per_chunk = divide_up(divide_up(most_keys, chunks), 128) * 128;
    result.chunks = divide_up(most_keys, result.keys_per_chunk);
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
