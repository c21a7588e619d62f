// The one exception type of headlight, and the exit codes that programs give for it.
#pragma once

#include <stdexcept>
#include <string>

#pragma GCC visibility push(default)
namespace headlight {

// What went wrong, seen from the person who has to act. The values are process exit codes.
enum class ErrorKind {
  check_failed = 1,   // a check that the user asked for did not hold
  usage = 2,          // a wrong option or argument
  bad_input = 3,      // a file or tensor that is not what it should be
  no_resources = 4,   // not enough memory or disk, or a process of the job is lost
  interrupted = 130,  // stopped by Ctrl-C after saving what was done
};

// The message is for the user: it names the file or argument, the place, what is wrong and what
// would be right.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace headlight
#pragma GCC visibility pop
