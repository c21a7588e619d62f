// Which questions are held out where no others are given to validate on.
#pragma once

#include <vector>

#include "task/questions.h"

namespace headlight::train {

// Takes the questions about some of the texts out of `all`; all about one text or story stay on
// one side.
std::vector<task::Question> hold_out_questions(std::vector<task::Question>& all);

}  // namespace headlight::train
