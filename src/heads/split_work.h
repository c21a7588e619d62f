// Independent pieces of work on a few threads. What a piece computes must not depend on which
// thread runs it, so results are the same for every number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace headlight::heads {

// How a pass over a whole layer is cut up.
inline constexpr int64_t kBandRows = 16;
inline constexpr int64_t kThreadedKeys = 512;  // shorter bands are done before threads have started
inline constexpr int64_t kOutputRows = 128;    // rows of head outputs collected before a product

// body(piece) for every piece in [0, pieces). The exception of the lowest piece is thrown again.
template <typename Body>
void split_work(int threads, int64_t pieces, const Body& body) {
  if (threads <= 1 || pieces <= 1) {
    for (int64_t piece = 0; piece < pieces; ++piece) body(piece);
    return;
  }
  std::atomic<int64_t> next{0};
  std::mutex guard;
  std::exception_ptr error;
  int64_t error_piece = pieces;
  const auto work = [&] {
    for (int64_t piece = next++; piece < pieces; piece = next++) {
      try {
        body(piece);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (piece < error_piece) {
          error_piece = piece;
          error = std::current_exception();
        }
      }
    }
  };
  std::vector<std::jthread> others;
  for (int64_t t = 1; t < std::min<int64_t>(threads, pieces); ++t) others.emplace_back(work);
  work();
  others.clear();  // joins
  if (error) std::rethrow_exception(error);
}

}  // namespace headlight::heads
