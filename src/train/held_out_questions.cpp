#include "train/held_out_questions.h"

#include <algorithm>
#include <string>

#include "task/parallel_text.h"
#include "train/text_run.h"

namespace headlight::train {
namespace {

// Each question of a story sees what those before it saw, and more: all of them are known by what
// the last one sees.
bool story_goes_on(const task::Question& one, const task::Question& next) {
  return !one.facts.empty() && one.facts.size() <= next.facts.size() &&
         std::equal(one.facts.rbegin(), one.facts.rend(), next.facts.rbegin());
}

}  // namespace

std::vector<task::Question> hold_out_questions(std::vector<task::Question>& all) {
  task::ParallelText numbered;
  numbered.sources.resize(all.size());
  for (size_t i = all.size(); i-- > 0;) {
    const bool more = i + 1 < all.size() && story_goes_on(all[i], all[i + 1]);
    numbered.sources[i] = more ? numbered.sources[i + 1] : all[i].context;
  }
  for (size_t i = 0; i < all.size(); ++i) numbered.targets.push_back(std::to_string(i));
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
