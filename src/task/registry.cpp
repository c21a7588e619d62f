#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "headlight/error.h"
#include "task/synthetic.h"
#include "text/lines.h"

namespace headlight::task {
namespace {

struct Row {
  const char* example;  // also what the name alone means
  Definition (*make)(Arguments&);
  const char* form;
  const char* meaning;
};

constexpr std::array kTasks = {
    Row{"copy(32,64)", copy_task, "copy(T,V)", "name the symbol at each of T places; V symbols"},
    Row{"cycle(32,64)", cycle_task, "cycle(T,V,s)",
        "name the symbol s places back, in a circle; s is 1 if left out"},
    Row{"fetch(16,2,6)", fetch_task, "fetch(n,V,m)",
        "look up the symbols at m of n places, all at once; V symbols"},
    Row{"lookback(32,2,1 2 4 8 12 16)", lookback_task, "lookback(T,V,OFFSETS)",
        "name the symbols so many places back, all at once"},
    Row{"count(32,2,1 2 4 8 12 16)", count_task, "count(T,V,OFFSETS)",
        "add up the symbols so many places back"},
    Row{"recall(32,64,4)", recall_task, "recall(T,V,P)",
        "remember P pairs of key and value, name the value of a key"},
    Row{"sort(16,32)", sort_task, "sort(n,V)", "say n symbols again in ascending order"},
    Row{"reverse(32,16)", reverse_task, "reverse(T,V)", "say T symbols again backwards"},
    Row{"hops(99,4)", hops_task, "hops(T,V,K)",
        "go back to this letter's last place, k times; k up to K, 16 if left out"}};

std::string name_of(const std::string& specification) {
  return specification.substr(0, specification.find('('));
}

// Insertions, deletions and replacements of letters from a to b (Levenshtein).
size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

[[noreturn]] void unknown(const std::string& specification, const std::string& name) {
  const Row& nearest = *std::ranges::min_element(
      kTasks, {}, [&](const Row& row) { return edits(name, name_of(row.example)); });
  std::vector<std::string> names;
  names.reserve(kTasks.size());
  for (const Row& row : kTasks) names.push_back(name_of(row.example));
  throw Error(ErrorKind::usage,
              fmt::format("task '{}': there is no '{}'; did you mean {}? There are {}",
                          specification, name, nearest.example, fmt::join(names, ", ")));
}

// The arguments between the brackets of "name(a, b)". `row` is the task's.
Arguments arguments_of(const std::string& specification, const Row& row) {
  const size_t open = specification.find('(');
  if (open == std::string::npos) return arguments_of(row.example, row);
  Arguments whole(specification, row.example, {});
  if (specification.find(')') != specification.size() - 1) {
    whole.refuse("the arguments must end with one ')'");
  }
  std::vector<std::string> parts;
  const std::string inside = specification.substr(open + 1, specification.size() - open - 2);
  for (size_t begin = 0; begin <= inside.size();) {
    const size_t comma = std::min(inside.find(',', begin), inside.size());
    parts.push_back(text::trimmed(inside.substr(begin, comma - begin)));
    begin = comma + 1;
  }
  return {specification, row.example, parts};
}

}  // namespace

std::unique_ptr<Task> make_task(const std::string& specification, const TaskOptions& options) {
  const std::string text = text::trimmed(specification);
  const std::string name = text::trimmed(name_of(text));
  const auto row = std::ranges::find_if(
      kTasks, [&](const Row& candidate) { return name_of(candidate.example) == name; });
  if (row == kTasks.end()) unknown(text, name);
  Arguments arguments = arguments_of(text, *row);
  Definition definition = row->make(arguments);
  arguments.finish();
  return synthetic_task(std::move(definition), options);
}

std::vector<TaskForm> task_forms() {
  std::vector<TaskForm> forms;
  forms.reserve(kTasks.size());
  for (const Row& row : kTasks) forms.push_back({row.form, row.example, row.meaning});
  return forms;
}

}  // namespace headlight::task
