#include "train/held_out_questions.h"

#include <string>

#include "task/parallel_text.h"
#include "train/text_run.h"

namespace headlight::train {

std::vector<task::Question> hold_out_questions(std::vector<task::Question>& all) {
  task::ParallelText numbered;
  for (size_t i = 0; i < all.size(); ++i) {
    numbered.sources.push_back(all[i].context);
    numbered.targets.push_back(std::to_string(i));
  }
  const task::ParallelText held_out = task::hold_out(numbered, kHeldOutShare, kHeldOutMost);
  const auto those = [&](const std::vector<std::string>& numbers) {
    std::vector<task::Question> some;
    for (const std::string& number : numbers) some.push_back(all[std::stoul(number)]);
    return some;
  };
  std::vector<task::Question> result = those(held_out.targets);
  all = those(numbered.targets);
  return result;
}

}  // namespace headlight::train
