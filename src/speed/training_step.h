// A training step (forward, backward, Adam) of ours beside the same model in PyTorch.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace headlight::speed {

struct TrainingWork {
  // Of the paper; "small": the default study's; "translator": that of `train --kind translate`.
  std::string model = "published";
  int64_t heads = 1;
  int threads = 1;
};

// PyTorch in a process of its own, asked and answered one line at a time.
class PyTorch {
 public:
  // `python` is an interpreter that has PyTorch, `script` is bench/training_step_peer.py.
  PyTorch(const std::filesystem::path& python, const std::filesystem::path& script);
  ~PyTorch();
  PyTorch(const PyTorch&) = delete;
  PyTorch& operator=(const PyTorch&) = delete;

  // Of one step, as the mean of `steps`. Nothing if it cannot run there; `why` then says why.
  std::optional<double> milliseconds(const TrainingWork& work, const std::string& implementation,
                                     int steps, std::string& why);

 private:
  pid_t child_ = 0;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

struct TrainingTime {
  std::string implementation;  // "headlight", or a peer
  double milliseconds = 0;     // median over rounds
  std::string why;             // it could not be measured; empty: it was
};

// Ours first, then each of `peers` ("eager", "tuned", "compile"; see the script), in turns. Throws
// Error (usage) for a model that is not known or cannot have so many heads.
std::vector<TrainingTime> training_step(const TrainingWork& work, PyTorch* pytorch,
                                        const std::vector<std::string>& peers, int rounds);

}  // namespace headlight::speed
