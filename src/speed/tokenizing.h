// How fast a tokenizer is on a file of lines.
#pragma once

#include <cstdint>
#include <filesystem>

namespace headlight::speed {

struct Tokenizing {
  double seconds = 0;  // of the whole file, the median over rounds
  int64_t bytes = 0, tokens = 0;
};

// Lines are shared among the threads. Throws Error (bad_input) as the tokenizer does.
Tokenizing tokenizing(const std::filesystem::path& tokenizer, const std::filesystem::path& file,
                      int threads, int rounds);

}  // namespace headlight::speed
