// Training in several processes, on one host or on many: each has the whole model and finds the
// gradient of a share of every batch (data parallelism).
//
// A launcher says in the environment who is who: RANK and WORLD_SIZE with MASTER_ADDR and
// MASTER_PORT (torchrun, or by hand), else the ranks and sizes of Open MPI, of PMI (MPICH, Intel
// MPI) or of srun. The processes meet in a TCPStore and talk through libtorch's group on Gloo.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "headlight/error.h"

namespace headlight::train {

// Another process is gone, or the way to it (no_resources).
class LostProcess : public Error {
 public:
  explicit LostProcess(const std::string& message) : Error(ErrorKind::no_resources, message) {}
};

// The processes of one job. All must call the same functions below in the same order. Where a call
// fails, it fails in all of them, with an exception of the same kind; the message of it is empty
// in all but the one that is to say it. Every call throws LostProcess if it cannot reach the
// others. In a process alone nothing is sent.
class Processes {
 public:
  Processes() = default;  // one, alone
  // See join_processes().
  struct Group;
  explicit Processes(std::shared_ptr<Group> group);

  int rank() const { return rank_; }  // from 0
  int size() const { return size_; }
  int on_this_host() const { return on_this_host_; }
  bool first() const { return rank_ == 0; }

  // Replaces a contiguous tensor by the sum over the processes, the same bits in all, or by that of
  // the first process.
  void sum(const at::Tensor& tensor) const;
  void take_from_first(const at::Tensor& tensor) const;

  // What the first process finds; the others wait for it, up to a day.
  int64_t number_of_first(const std::function<int64_t()>& find) const;
  std::string text_of_first(const std::function<std::string()>& find) const;

  // Every process works; goes on when it is done in all.
  void together(const std::function<void()>& work) const;

 private:
  std::shared_ptr<Group> group_;
  int rank_ = 0, size_ = 1, on_this_host_ = 1;
};

// Reads the environment and meets the others; without one of a launcher, or with one process, there
// is nothing to do. Throws Error: usage naming the variable that is missing or wrong; LostProcess
// if not all are there after some minutes.
Processes join_processes();

}  // namespace headlight::train
