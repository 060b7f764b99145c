#include "shoal/tests/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace shoal {

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  pid_ = fork();
  if (pid_ < 0) {
    throw std::system_error(errno, std::generic_category(), "fork");
  }
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output[1], STDOUT_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(output[1]);
  output_ = output[0];
}

ChildProcess::~ChildProcess() {
  Kill();
  close(output_);
}

std::string ChildProcess::ReadLine() {
  std::string line;
  char c;
  while (true) {
    const ssize_t got = read(output_, &c, 1);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got != 1 || c == '\n') {
      return line;
    }
    line.push_back(c);
  }
}

void ChildProcess::Kill() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
}

void ChildProcess::Signal(int number) {
  if (pid_ > 0) {
    kill(pid_, number);
  }
}

int ChildProcess::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

UniqueAddress::UniqueAddress(const std::string& transport) : text_("127.0.0.1:0") {
  if (transport == "shm") {
    // Random: sandboxes with pid namespaces of their own share the abstract names.
    text_ = absl::StrCat("shm:shoal-test-", absl::Hex(std::random_device()()));
  } else if (transport == "unix") {
    folder_.emplace();
    text_ = absl::StrCat("unix:", folder_->path(), "/socket");
  }
}

}  // namespace shoal
