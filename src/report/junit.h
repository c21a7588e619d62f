// Results for continuous integration: JUnit's XML, which every such service reads.
#pragma once

#include <string>
#include <vector>

namespace headlight::report {

struct JunitCase {
  std::string name;
  std::string failure;  // why it failed; empty: it passed
};

// One suite, UTF-8. Control characters become spaces, bytes that are no UTF-8 U+FFFD.
std::string junit_xml(const std::string& suite, const std::vector<JunitCase>& cases);

}  // namespace headlight::report
