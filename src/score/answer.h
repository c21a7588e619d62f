// How right an answer is, as SQuAD's official evaluation says (Rajpurkar et al. 2016, 2018): lower
// case, without ASCII punctuation, without a, an and the, white space made one.
#pragma once

#include <string>
#include <string_view>

namespace headlight::score {

// What is left of an answer to compare; UTF-8.
std::string normalised_answer(std::string_view answer);

struct Answer {
  bool exact = false;
  double f1 = 0;  // of words, from 0 to 1
};

// Where one of both is empty after normalisation, F1 is 1 if the other is as well and else 0, the
// rule of SQuAD 2.0 (1.1, which has no empty answers, would say 0).
Answer compare_answers(std::string_view hypothesis, std::string_view reference);

}  // namespace headlight::score
