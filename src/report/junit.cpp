#include "report/junit.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/terminal.h"

namespace headlight::report {
namespace {

// As the value of an attribute. Control characters and bytes that are no UTF-8 are no XML.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string junit_xml(const std::string& suite, const std::vector<JunitCase>& cases) {
  const auto failures = std::count_if(cases.begin(), cases.end(),
                                      [](const JunitCase& one) { return !one.failure.empty(); });
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\"", cases.size(), failures);
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  out += fmt::format("<testsuites {}>\n  <testsuite name={} {}>\n", counts, quoted(suite), counts);
  for (const JunitCase& one : cases) {
    out += fmt::format("    <testcase classname={} name={}", quoted(suite), quoted(one.name));
    out += one.failure.empty() ? "/>\n"
                               : fmt::format(">\n      <failure message={}/>\n    </testcase>\n",
                                             quoted(one.failure));
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace headlight::report
