#include "shoal/bench/ping_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace shoal {
namespace {

// The child's side of the fork: only what is safe there.
[[noreturn]] void BecomeServer(const char* flag, int output, pid_t parent) {
  // The server would otherwise outlive a parent that is killed.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent || dup2(output, STDOUT_FILENO) < 0) {
    _exit(1);
  }
  execl("/proc/self/exe", "ping", flag, nullptr);
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

absl::StatusOr<std::unique_ptr<PingProcess>> PingProcess::Start(const std::string& address) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "pipe2() for a server's output");
  }
  const std::string flag = absl::StrCat("--serve=", address);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    BecomeServer(flag.c_str(), ends[1], parent);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return absl::ErrnoToStatus(errno, "fork() for a server");
  }
  std::unique_ptr<PingProcess> process(new PingProcess(pid));
  const std::string line = ReadLine(ends[0]);
  absl::string_view bound = line;
  if (!absl::ConsumePrefix(&bound, "serving ")) {
    return absl::UnavailableError(absl::StrCat("the server for ", address, " did not start"));
  }
  process->address_ = std::string(bound);
  return process;
}

PingProcess::~PingProcess() { Stop().IgnoreError(); }

absl::Status PingProcess::Stop() {
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

}  // namespace shoal
