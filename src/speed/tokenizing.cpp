#include "speed/tokenizing.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tensorfile/atomic_file.h"
#include "text/tokenizer.h"

namespace headlight::speed {
namespace {

int64_t encode_all(const text::Tokenizer& tokenizer, const std::vector<std::string>& lines,
                   int threads) {
  constexpr size_t kLines = 64;  // that a thread takes at a time
  std::atomic<size_t> next = 0;
  std::atomic<int64_t> tokens = 0;
  std::exception_ptr error;
  std::mutex guard;
  const auto work = [&] {
    try {
      for (size_t first = next.fetch_add(kLines); first < lines.size();
           first = next.fetch_add(kLines))
        for (size_t i = first; i < std::min(lines.size(), first + kLines); ++i)
          tokens += static_cast<int64_t>(text::encode(tokenizer, lines[i]).size());
    } catch (...) {
      const std::lock_guard lock(guard);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work);
  work();
  for (std::thread& one : others) one.join();
  if (error) std::rethrow_exception(error);
  return tokens;
}

}  // namespace

Tokenizing tokenizing(const std::filesystem::path& path, const std::filesystem::path& file,
                      int threads, int rounds) {
  const text::Tokenizer tokenizer = text::read_tokenizer(path);
  const std::string all = tensorfile::read_text_file(file);
  std::vector<std::string> lines;
  std::istringstream stream(all);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  Tokenizing result{.bytes = static_cast<int64_t>(all.size())};
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    result.tokens = encode_all(tokenizer, lines, threads);
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(times);
  result.seconds = times[times.size() / 2];
  return result;
}

}  // namespace headlight::speed
