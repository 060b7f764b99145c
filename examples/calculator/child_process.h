#pragma once

// A program that a test runs as a user does.

#include <sys/types.h>

#include <string>
#include <vector>

namespace shoal::calculator {

class ChildProcess {
 public:
  struct Finished {
    int status;  // exit status; minus the number of the signal that ended it
    std::string output;
    std::string errors;
  };

  // Starts `command`, a program's path and its arguments. A program that can't be started finishes
  // with status 127.
  explicit ChildProcess(std::vector<std::string> command);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Kills it if it runs still.
  ~ChildProcess();

  // Its next line of standard output, without the newline. When none comes within a minute, or the
  // output ends before: what there is.
  std::string ReadLine();

  void Signal(int signal);

  pid_t pid() const { return pid_; }

  // Waits for it to finish. What does not within a minute is killed, so its status is -9. Output is
  // what ReadLine() has not returned. At most once.
  Finished Wait();

 private:
  pid_t pid_;
  int output_;          // pipe from its standard output; -1 when that has ended
  int errors_;          // and standard error
  std::string unread_;  // of the output, behind the last line that was returned
  std::string error_text_;

  bool ReadMore();
};

}  // namespace shoal::calculator
