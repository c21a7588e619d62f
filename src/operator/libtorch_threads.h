// The core's tasks on libtorch's own threads, so that a program has one pool.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "headlight/attention.h"

namespace headlight::op {

// Each thread takes the next task that is left: tasks of a causal call differ in size.
inline void run_on_libtorch(void*, int64_t tasks, void (*body)(void*, int64_t), void* context) {
  std::atomic<int64_t> next = 0;
  const int64_t threads = std::min<int64_t>(tasks, at::get_num_threads());
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t task = next++; task < tasks; task = next++) body(context, task);
  });
}

inline constexpr Parallel kLibtorchThreads = {run_on_libtorch, nullptr, 0};

}  // namespace headlight::op
