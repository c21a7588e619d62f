// Attention that came from anywhere: arrays in files, or a case folder as in data/metrics.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "heads/analysis.h"
#include "tensorfile/array.h"

namespace headlight::heads {

// One sequence, ready for analyse(), with what it points into.
struct LoadedSequence {
  Attention attention;
  AnalysisOptions options;
  std::vector<std::shared_ptr<const void>> keepers;
};

// What an array alone does not say.
struct AttentionFileOptions {
  std::string name;  // of the array in an archive; empty: the only one
  bool causal = false;
  bool cross = false;
  bool may_sum_to_less = false;  // rows with a learned sink
  std::optional<int64_t> sink;   // token index; absent: the last real token
  int64_t window = 0;
  int64_t query_offset = 0;
  std::vector<int64_t> lengths;  // real tokens of each sequence; empty: all
  std::vector<std::vector<int64_t>> layers;
  std::vector<int64_t> separators, exclude, tokens;
};

// Does a list of key positions name all of them?
bool leaves_no_key(const std::vector<int64_t>& excluded, int64_t keys);

// .npy, .npz or .safetensors with [heads, queries, keys] or [batch, heads, queries, keys]
// probabilities. Throws headlight::Error (bad_input), naming the file and what would be right.
std::vector<LoadedSequence> read_attention_file(const std::filesystem::path&,
                                                const AttentionFileOptions&);

// A folder with case.json and one .npy per array (q, k, v, w_o, attention, query_valid, key_valid,
// mask). Throws headlight::Error (bad_input).
LoadedSequence read_attention_case(const std::filesystem::path& folder);

}  // namespace headlight::heads
