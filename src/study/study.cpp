#include "study/study.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

#include "model/linear.h"

namespace headlight::study {
namespace {

using Clock = std::chrono::steady_clock;

// Time left from what each kind of run (task and head count) has taken so far. A kind that has
// not finished yet is guessed from its steps and the mean time a step of the others.
class Schedule {
 public:
  Schedule(const Settings& settings, std::vector<RunKey> keys, int jobs)
      : settings_(settings), keys_(std::move(keys)), done_(keys_.size(), 0.0), jobs_(jobs) {}

  void set_done(size_t run, double share) { done_[run] = share; }
  void set_seconds(size_t run, double seconds) {
    Kind& kind = kinds_[{keys_[run].task, keys_[run].heads}];
    kind.seconds += seconds;
    kind.runs += 1;
    seconds_ += seconds;
    steps_ += double(steps(run));
  }

  double share() const {
    double all = 0, finished = 0;
    for (size_t run = 0; run < keys_.size(); ++run) {
      all += cost(run);
      finished += cost(run) * done_[run];
    }
    return all > 0 ? finished / all : 1;
  }
  double seconds_left() const {
    if (steps_ == 0) return -1;
    double left = 0;
    for (size_t run = 0; run < keys_.size(); ++run) left += cost(run) * (1 - done_[run]);
    return left / jobs_;
  }

 private:
  struct Kind {
    double seconds = 0;
    int runs = 0;
  };
  int64_t steps(size_t run) const { return settings_.tasks[keys_[run].task].steps; }
  double cost(size_t run) const {
    const auto kind = kinds_.find({keys_[run].task, keys_[run].heads});
    if (kind != kinds_.end()) return kind->second.seconds / kind->second.runs;
    return double(steps(run)) * (steps_ > 0 ? seconds_ / steps_ : 1);
  }

  const Settings& settings_;
  std::vector<RunKey> keys_;
  std::vector<double> done_;
  int jobs_;
  std::map<std::pair<size_t, int64_t>, Kind> kinds_;
  double seconds_ = 0, steps_ = 0;
};

std::filesystem::path run_folder(const Folder& folder, const RunKey& key) {
  return folder.path / "runs" / run_name(folder.settings, key);
}

}  // namespace

std::optional<std::vector<FinishedRun>> carry_out(const Folder& folder,
                                                  const std::vector<Material>& material,
                                                  const Work& work) {
  const Settings& settings = folder.settings;
  // The study's own choice, so that a resumed or merged study computes the same bits.
  model::set_linear_backend(folder.linear_backend);

  const std::vector<RunKey> all = plan(settings);
  std::vector<std::optional<RunResult>> results(all.size());
  std::vector<size_t> open;  // runs of this process that are not done, as places in the plan
  for (size_t i = 0; i < all.size(); ++i) {
    results[i] = read_result(run_folder(folder, all[i]));
    if (int64_t(i) % work.shards == work.shard && !results[i]) open.push_back(i);
  }
  std::vector<RunKey> keys;
  for (const size_t place : open) keys.push_back(all[place]);

  const int jobs = int(std::clamp<size_t>(size_t(work.jobs), 1, std::max<size_t>(1, keys.size())));
  Schedule schedule(settings, keys, jobs);
  std::mutex mutex;
  size_t next = 0, done = 0;
  bool stopped = false;
  std::exception_ptr failure;

  const auto worker = [&] {
    at::set_num_threads(1);
    while (true) {
      size_t run = 0;
      {
        const std::lock_guard lock(mutex);
        if (stopped || failure || next == keys.size()) return;
        run = next++;
      }
      const RunKey& key = keys[run];
      const int64_t steps = settings.tasks[key.task].steps;
      const auto observer = [&](int64_t step, double loss, const std::vector<train::Point>& curve) {
        const std::lock_guard lock(mutex);
        if (work.stop && work.stop()) stopped = true;
        if (work.progress) {
          schedule.set_done(run, double(step) / double(steps));
          work.progress({keys.size(), done, schedule.share(), schedule.seconds_left(),
                         fmt::format("{}, {} head{}, seed {}", settings.tasks[key.task].name,
                                     key.heads, key.heads == 1 ? "" : "s", key.seed),
                         step, steps, loss, curve.empty() ? -1 : curve.back().test_accuracy});
        }
        return !stopped && !failure;
      };
      try {
        const auto start = Clock::now();
        std::optional<RunResult> result =
            carry_out(settings, key, material[key.task], run_folder(folder, key), observer);
        const std::lock_guard lock(mutex);
        if (!result) return;
        results[open[run]] = std::move(result);
        ++done;
        schedule.set_done(run, 1);
        schedule.set_seconds(run, std::chrono::duration<double>(Clock::now() - start).count());
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        return;
      }
    }
  };
  // libtorch gives a thread that has not set its number of threads the number set last, which is
  // the 1 of a worker.
  const int threads = at::get_num_threads();
  std::vector<std::jthread> workers;
  for (int job = 0; job < jobs; ++job) workers.emplace_back(worker);
  workers.clear();
  at::set_num_threads(threads);
  if (failure) std::rethrow_exception(failure);
  if (stopped) return std::nullopt;
  std::vector<FinishedRun> runs;
  for (size_t i = 0; i < all.size(); ++i) {
    // Another process may have finished its part in the meantime.
    if (!results[i]) results[i] = read_result(run_folder(folder, all[i]));
    if (results[i]) runs.push_back({all[i], std::move(*results[i])});
  }
  return runs;
}

}  // namespace headlight::study
