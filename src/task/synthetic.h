// Tasks whose data is made, not read. A task is a Definition; batches, test set, fixed training
// sets and noise are the same for all.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "task/arguments.h"
#include "task/random.h"
#include "task/task.h"

namespace headlight::task {

struct Definition {
  TaskInfo info;  // all but `space`
  // Draws one sample: fills inputs [length], and the labels [length] that are scored (the others
  // are kNotScored already).
  std::function<void(Random&, std::span<int64_t> inputs, std::span<int64_t> labels)> draw;
  // Where each kind of symbol begins, from 0: symbols of one kind can stand in for each other.
  std::vector<int64_t> kinds;
  std::function<std::string(int64_t symbol)> show;
  // How many inputs there are, as text and as log2.
  std::string space;
  double log2_space = 0;
};

// One per task, each in a file of its own.
Definition copy_task(Arguments&);
Definition cycle_task(Arguments&);
Definition fetch_task(Arguments&);
Definition lookback_task(Arguments&);
Definition count_task(Arguments&);
Definition recall_task(Arguments&);
Definition sort_task(Arguments&);
Definition reverse_task(Arguments&);
Definition hops_task(Arguments&);

// Throws Error (usage) if there are too few inputs to hold some out.
std::unique_ptr<Task> synthetic_task(Definition definition, const TaskOptions& options);

// Ways in which several tasks speak.

// Of 26 or fewer kinds: a letter; else the number.
std::string symbol_text(int64_t symbol, int64_t symbols);
// `count` symbols, a separator, then all but the last of them in another order; the labels from the
// separator on are all of them in that order. `order` arranges them. Name, chance and steps are the
// task's.
Definition say_again(int64_t count, int64_t symbols,
                     const std::function<void(std::span<int64_t>)>& order);
// base^exponent, or an Error (usage) of `arguments` if it is more classes than a model should have.
int64_t class_count(int64_t base, int64_t exponent, const Arguments& arguments);
// `base` steps, stretched for harder sizes, to a multiple of `every`, at most 20,000.
int64_t stretched_steps(int64_t base, double factor, int64_t every);
double log2_factorial(int64_t n);

}  // namespace headlight::task
