// Runs the tasks of a pass and brings an exception from one of them back to the caller.
#pragma once

#include <atomic>
#include <exception>

#include "attention/schedule.h"

namespace headlight::attention {

// body(task) for every task in [0, tasks), as the caller wants them run. Throws, when all are done,
// the first exception that one of them threw.
template <typename Body>
void run_each(const Parallel& parallel, int64_t tasks, const Body& body) {
  struct Context {
    const Body& body;
    std::atomic<bool> failed{false};
    std::exception_ptr error{};
  } context{body};
  run_tasks(
      parallel, tasks,
      [](void* c, int64_t task) {
        auto& x = *static_cast<Context*>(c);
        try {
          x.body(task);
        } catch (...) {
          if (!x.failed.exchange(true)) x.error = std::current_exception();
        }
      },
      &context);
  if (context.error) std::rethrow_exception(context.error);
}

}  // namespace headlight::attention
