// Questions about a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "task/parallel_text.h"

namespace headlight::task {

struct Question {
  std::string question, context;
  std::vector<std::string> facts;  // what the context of a story is made of
  std::string answer;              // empty where a file gives none
  // Where the answer begins in the context, in code points, or nearby: of several equal pieces the
  // nearest is meant. Not given: the first that is no part of a longer word.
  std::optional<int64_t> answer_place;
  int64_t number = 0;  // from 1, through all files
};

// Whether every file holds stories, by its first line as in read_questions().
bool are_stories(const std::vector<std::filesystem::path>& files);

// Nothing is asked, or of nothing.
bool is_without_text(const Question& question);

// Of every file in turn, each text as one line. A file is one of three kinds, told from its first
// line:
//   bAbI   "1 Mary moved." numbers the lines of a story; a line with a question mark at its end or
//          with a tab is a question: "2 Where is Mary?<tab>hall<tab>1". Its context is every fact
//          before it in its story, the newest first, so that what is cut off is the oldest.
//   SQuAD  JSON of the versions 1.1 and 2.0; of several answers the first.
//   lines  question, tab, context, and for training a tab and the answer.
// "-" is standard input; gzip is undone. Throws Error (bad_input) naming file, line and remedy.
std::vector<Question> read_questions(const std::vector<std::filesystem::path>& files);
// Of lines that are there already; `name` is for messages.
std::vector<Question> questions_in(const std::vector<std::string>& lines, const std::string& name);

// Sources as a model that writes reads them, "question: ... context: ..." (the form of Raffel et
// al. 2020), and answers as targets. What is empty stays so.
ParallelText as_lines(const std::vector<Question>& questions);

}  // namespace headlight::task
