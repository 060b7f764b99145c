#include "shoal/bench/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace shoal {
namespace {

// The child's side of the fork: only what is safe there.
[[noreturn]] void BecomeServer(const char* argument, int output, pid_t parent) {
  // The server would otherwise outlive a parent that is killed.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent || dup2(output, STDOUT_FILENO) < 0) {
    _exit(1);
  }
  execl("/proc/self/exe", "server", argument, nullptr);
  _exit(1);
}

// What the descriptor gives up to the first end of line, which is left out, or to its end. Closes
// it.
std::string ReadLine(int fd) {
  FILE* file = fdopen(fd, "r");
  std::string line;
  for (int c = fgetc(file); c != EOF && c != '\n'; c = fgetc(file)) {
    line.push_back(static_cast<char>(c));
  }
  fclose(file);
  return line;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(const std::string& address,
                                                                    const std::string& flag) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "pipe2() for a server's output");
  }
  const std::string argument = absl::StrCat("--", flag, "=", address);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    BecomeServer(argument.c_str(), ends[1], parent);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return absl::ErrnoToStatus(errno, "fork() for a server");
  }
  std::unique_ptr<ServerProcess> process(new ServerProcess(pid));
  const std::string line = ReadLine(ends[0]);
  absl::string_view bound = line;
  if (!absl::ConsumePrefix(&bound, "serving ")) {
    return absl::UnavailableError(absl::StrCat("the server for ", address, " did not start"));
  }
  process->address_ = std::string(bound);
  return process;
}

ServerProcess::~ServerProcess() { Stop().IgnoreError(); }

absl::Status ServerProcess::Stop() {
  const pid_t pid = std::exchange(pid_, 0);
  if (pid == 0) {
    return absl::OkStatus();
  }
  kill(pid, SIGTERM);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InternalError(absl::StrCat("the server for ", address_, ", pid ", pid,
                                            ", did not end cleanly: wait status ", status));
  }
  return absl::OkStatus();
}

std::string UnusedAddress(const std::string& transport) {
  if (transport == "tcp") {
    return "127.0.0.1:0";
  }
  // A process id would not do: in containers that share /tmp or a network it is not unique.
  const std::string unique = absl::StrCat("shoal-bench-", absl::Hex(std::random_device()()));
  if (transport == "shm") {
    return absl::StrCat("shm:", unique);
  }
  const char* const tmpdir = getenv("TMPDIR");
  return absl::StrCat("unix:", tmpdir == nullptr ? "/tmp" : tmpdir, "/", unique);
}

}  // namespace shoal
