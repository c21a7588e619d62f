// How a call is cut into tasks. By shape alone, never by the number of threads: results must not
// depend on it.
#pragma once

#include <cstdint>

#include "attention/cpu/kernels.h"

namespace headlight::attention {

// A pass is a row of units, the parts of all heads of all sequences: some rows (queries, or keys)
// of one head each. A task is one large unit or several small ones.
struct Schedule {
  int64_t heads = 0;  // of each sequence
  int64_t rows_per_part = 1;
  int64_t parts = 1;                    // of each head, if sequences are equally long
  const int64_t* first_unit = nullptr;  // [batch + 1], if they are packed
  const int64_t* row_starts = nullptr;  // [batch + 1], the same
  int64_t rows = 0;
  int64_t units = 0;
  int64_t units_per_task = 1;
  int64_t tasks = 0;
};

struct Unit {
  int64_t batch, head;
  Span rows;
};

Unit unit_of(const Schedule& schedule, int64_t batch_count, int64_t unit);

// Queries of a forward pass; rows_per_part is a multiple of the tile. `first_unit` holds batch + 1
// numbers to be filled, and is needed only for packed sequences.
Schedule forward_schedule(const AttentionShape& shape, bool causal, int64_t tile,
                          int64_t* first_unit);
// Keys of every query head.
Schedule received_schedule(const AttentionShape& shape, int64_t* first_unit);

// Chunks of the keys of every KV head, for few queries.
struct DecodeSchedule {
  int64_t keys_per_chunk = 1;
  int64_t chunks = 1;
  int64_t tasks = 0;  // one for each chunk of each KV head
};
DecodeSchedule decode_schedule(const AttentionShape& shape, int64_t most_keys);

// Tasks of a backward pass: several KV heads each, or a chunk of the keys of one.
struct BackwardSchedule {
  int64_t kv_heads_per_task = 1;
  int64_t keys_per_chunk = 0;
  int64_t chunks = 1;
  int64_t tasks = 0;
};
BackwardSchedule backward_schedule(const AttentionShape& shape, int64_t most_keys, bool causal);

// Runs the tasks as the caller wants them run.
void run_tasks(const Parallel& parallel, int64_t tasks, void (*body)(void* context, int64_t task),
               void* context);

}  // namespace headlight::attention
