#include "shoal/examples/calculator/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "gtest/gtest.h"

namespace shoal::calculator {
namespace {

constexpr int kPatienceMs = 60'000;  // far more than a loaded machine needs

struct Pipe {
  int read_end;
  int write_end;
};

Pipe NewPipe() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0) << "pipe2: " << errno;
  return {ends[0], ends[1]};
}

// Appends what `fd` has to `text`. At its end closes it and makes it -1.
void ReadInto(std::string& text, int& fd) {
  char buffer[4096];
  const ssize_t size = read(fd, buffer, sizeof(buffer));
  if (size > 0) {
    text.append(buffer, size);
    return;
  }
  close(fd);
  fd = -1;
}

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> command) {
  const Pipe output = NewPipe();
  const Pipe errors = NewPipe();
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);

  pid_ = fork();
  if (pid_ == 0) {
    dup2(output.write_end, STDOUT_FILENO);
    dup2(errors.write_end, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  EXPECT_GT(pid_, 0) << "fork: " << errno;
  close(output.write_end);
  close(errors.write_end);
  output_ = output.read_end;
  errors_ = errors.read_end;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (output_ >= 0) close(output_);
  if (errors_ >= 0) close(errors_);
}

bool ChildProcess::ReadMore() {
  pollfd ready[] = {{output_, POLLIN, 0}, {errors_, POLLIN, 0}};
  if (output_ < 0 && errors_ < 0) return false;
  if (poll(ready, 2, kPatienceMs) <= 0) return false;
  if (ready[0].revents != 0) ReadInto(unread_, output_);
  if (ready[1].revents != 0) ReadInto(error_text_, errors_);
  return true;
}

std::string ChildProcess::ReadLine() {
  size_t end = unread_.find('\n');
  while (end == std::string::npos && output_ >= 0 && ReadMore()) end = unread_.find('\n');
  if (end == std::string::npos) return std::exchange(unread_, "");
  const std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return line;
}

void ChildProcess::Signal(int signal) {
  // kill() takes -1 for every process there is.
  if (pid_ > 0) kill(pid_, signal);
}

ChildProcess::Finished ChildProcess::Wait() {
  if (pid_ <= 0) return {127, "", "there is no process"};
  while (ReadMore()) {
  }
  if (output_ >= 0 || errors_ >= 0) Signal(SIGKILL);
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), unread_, error_text_};
}

}  // namespace shoal::calculator
