#include "task/questions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "headlight/error.h"
#include "tensorfile/json_file.h"
#include "text/lines.h"
#include "text/whole_number.h"

namespace headlight::task {
namespace {

// One line, as everything that is read here.
std::string joined_lines(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text::trimmed(text);
}

// The number that a line of a story begins with.
std::optional<int64_t> number_of(const std::string& line) {
  return text::whole_number(std::string_view(line).substr(0, line.find(' ')));
}

// The first line that says what a file is; the end where there is none.
std::vector<std::string>::const_iterator first_line(const std::vector<std::string>& lines) {
  return std::ranges::find_if_not(lines,
                                  [](const std::string& line) { return text::is_blank(line); });
}

class QuestionReader {
 public:
  QuestionReader(std::string name, std::vector<Question>& all)
      : name_(std::move(name)), all_(all) {}

  void read(const std::vector<std::string>& lines) {
    const auto first = first_line(lines);
    if (first == lines.end())
      throw Error(ErrorKind::bad_input, fmt::format("{}: holds no questions", name_));
    if (first->front() == '{')
      read_squad(lines);
    else if (number_of(*first))
      read_stories(lines);
    else
      read_tabbed(lines);
  }

 private:
  [[noreturn]] void refuse(size_t line, const std::string& why) const {
    throw Error(ErrorKind::bad_input, fmt::format("{}: line {} {}", name_, line + 1, why));
  }

  void add(const std::string& question, const std::string& context, const std::string& answer,
           std::optional<int64_t> answer_place = {}) {
    all_.push_back({joined_lines(question),
                    joined_lines(context),
                    {},
                    joined_lines(answer),
                    answer_place,
                    int64_t(all_.size()) + 1});
  }

  void read_stories(const std::vector<std::string>& lines) {
    std::vector<std::string> facts;  // the newest first
    int64_t last = 0;
    for (size_t i = 0; i < lines.size(); ++i) {
      if (text::is_blank(lines[i])) continue;
      const std::optional<int64_t> number = number_of(lines[i]);
      if (!number || *number < 1)
        refuse(i, "does not begin with its number in the story and a space");
      if (*number == 1) facts.clear();
      if (*number != 1 && *number <= last)
        refuse(i, fmt::format("has the number {} after {}; numbers grow, and a story begins with 1",
                              *number, last));
      last = *number;
      const std::string rest = lines[i].substr(std::min(lines[i].find(' '), lines[i].size()));
      const size_t tab = rest.find('\t');
      const std::string said = text::trimmed(rest.substr(0, tab));
      if (said.empty()) refuse(i, "says nothing after its number");
      if (tab == std::string::npos && !said.ends_with('?')) {
        facts.insert(facts.begin(), joined_lines(said));
        continue;
      }
      const std::string after = tab == std::string::npos ? "" : rest.substr(tab + 1);
      add(said, fmt::format("{}", fmt::join(facts, " ")), after.substr(0, after.find('\t')));
      all_.back().facts = facts;
    }
  }

  void read_tabbed(const std::vector<std::string>& lines) {
    for (size_t i = 0; i < lines.size(); ++i) {
      if (text::is_blank(lines[i])) {  // stays an empty line
        all_.emplace_back();
        continue;
      }
      const size_t tab = lines[i].find('\t');
      if (tab == std::string::npos)
        refuse(i,
               "is not a question, a tab and what it is about; a story numbers its lines, "
               "beginning with 1");
      const size_t second = std::min(lines[i].find('\t', tab + 1), lines[i].size());
      add(lines[i].substr(0, tab), lines[i].substr(tab + 1, second - tab - 1),
          second < lines[i].size() ? lines[i].substr(second + 1) : "");
    }
  }

  static std::optional<int64_t> answer_start_of(const nlohmann::json& answers) {
    if (answers.empty() || !answers[0].contains("answer_start")) return std::nullopt;
    return answers[0].at("answer_start").get<int64_t>();
  }

  void read_squad(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    try {
      const nlohmann::json json = nlohmann::json::parse(text);
      for (const auto& article : json.at("data"))
        for (const auto& paragraph : article.at("paragraphs"))
          for (const auto& one : paragraph.at("qas")) {
            const nlohmann::json answers = one.value("answers", nlohmann::json::array());
            add(one.at("question").get<std::string>(), paragraph.at("context").get<std::string>(),
                answers.empty() ? "" : answers[0].at("text").get<std::string>(),
                answer_start_of(answers));
          }
    } catch (const nlohmann::json::exception& problem) {
      throw Error(ErrorKind::bad_input, fmt::format("{}: is not a file of questions as SQuAD's: {}",
                                                    name_, tensorfile::json_problem(problem)));
    }
  }

  std::string name_;
  std::vector<Question>& all_;
};

}  // namespace

bool are_stories(const std::vector<std::filesystem::path>& files) {
  return std::ranges::all_of(files, [](const std::filesystem::path& file) {
    const std::vector<std::string> lines = text::read_lines(file);
    const auto first = first_line(lines);
    return first != lines.end() && number_of(*first);
  });
}

bool is_without_text(const Question& one) {
  return text::is_blank(one.question) || text::is_blank(one.context);
}

std::vector<Question> read_questions(const std::vector<std::filesystem::path>& files) {
  std::vector<Question> all;
  for (const std::filesystem::path& file : files)
    QuestionReader(file == "-" ? "standard input" : file.string(), all)
        .read(text::read_lines(file));
  return all;
}

std::vector<Question> questions_in(const std::vector<std::string>& lines, const std::string& name) {
  std::vector<Question> all;
  QuestionReader(name, all).read(lines);
  return all;
}

ParallelText as_lines(const std::vector<Question>& questions) {
  ParallelText lines;
  for (const Question& q : questions) {
    lines.sources.push_back(
        q.question.empty() ? "" : fmt::format("question: {} context: {}", q.question, q.context));
    lines.targets.push_back(q.answer);
  }
  return lines;
}

}  // namespace headlight::task
