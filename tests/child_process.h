// Real processes for tests: started with fork and exec, and killed.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "shoal/tests/scratch_folder.h"

namespace shoal {

// A child of the test. It is killed with the test's process, whatever ends that, and with this
// object.
class ChildProcess {
 public:
  // Runs `command`, whose first element is a program's path, or one below the test's runfiles. Its
  // standard output can be read here; its standard error is the test's.
  explicit ChildProcess(const std::vector<std::string>& command);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }

  // The next line that it prints, without its end; empty when it prints nothing more.
  std::string ReadLine();

  // Sends SIGKILL and waits until the process is gone.
  void Kill();

  // Sends a signal, unless it was waited for.
  void Signal(int number);

  // Waits until it ends by itself: its exit status, or minus the signal that ended it.
  int Wait();

 private:
  pid_t pid_;  // 0 once it was waited for
  int output_;
};

// An address that nobody else uses, and that leaves nothing behind.
class UniqueAddress {
 public:
  // Of the transport "shm", "unix" or "tcp". For TCP the port is 0: the server says which one it
  // got.
  explicit UniqueAddress(const std::string& transport);
  UniqueAddress(const UniqueAddress&) = delete;
  UniqueAddress& operator=(const UniqueAddress&) = delete;

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::optional<ScratchFolder> folder_;  // of a Unix socket's file
};

}  // namespace shoal
