#include <fmt/format.h>

#include <algorithm>

#include "task/synthetic.h"

namespace headlight::task {

// reverse(T, V): T symbols, a separator V, then the first T - 1 of them in reverse; the labels from
// the separator on are all T in reverse.
Definition reverse_task(Arguments& arguments) {
  const int64_t count = arguments.number("T, how many to reverse,", 1, 32768);
  const int64_t symbols = arguments.number("V, the number of symbols,", 2, 65536);
  Definition task =
      say_again(count, symbols, [](std::span<int64_t> said) { std::ranges::reverse(said); });
  task.info.name = fmt::format("reverse({},{})", count, symbols);
  task.info.about = fmt::format("Say {} symbols again backwards; {} symbols.", count, symbols);
  task.info.chance = 1.0 / static_cast<double>(symbols);
  task.info.recommended_steps = stretched_steps(
      800, std::max(static_cast<double>(count) / 32, static_cast<double>(symbols) / 16), 25);
  return task;
}

}  // namespace headlight::task
