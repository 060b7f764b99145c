#include "shoal/bench/costs/trace.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

// Ignored by default, and yet reported to a tracer.
constexpr int kMark = SIGURG;

// With PTRACE_O_TRACESYSGOOD.
constexpr int kSystemCallStop = SIGTRAP | 0x80;

constexpr int kCannotTrace = 71;
constexpr int kCannotRun = 72;

// What every x86-64 has: otherwise the processor's features and the size of its caches choose, and
// `rep movs` is stopped in once for each byte.
constexpr char kTunables[] =
    "GLIBC_TUNABLES="
    "glibc.cpu.hwcaps=-ERMS,-FSRM,-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX_Fast_Unaligned_Load,"
    "-SSE4_1,-SSE4_2,-SSSE3,-Fast_Unaligned_Copy,-Fast_Copy_Backward"
    ":glibc.cpu.x86_non_temporal_threshold=0x10000000";

// The child's side of the fork: only what is safe there.
[[noreturn]] void BecomeTraced(char* const* arguments, int output, Counted counted) {
  const int now = personality(0xffffffff);
  personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE);  // a container may forbid it
  if (counted != Counted::kNothing && ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
    _exit(kCannotTrace);
  }
  if (dup2(output, STDOUT_FILENO) < 0) {
    _exit(kCannotRun);
  }
  char tunables[sizeof(kTunables)];
  memcpy(tunables, kTunables, sizeof(tunables));
  char* environment[] = {tunables, nullptr};
  execve("/proc/self/exe", arguments, environment);
  _exit(kCannotRun);
}

bool ReadsTheClock(uint64_t number) {
  return number == SYS_clock_gettime || number == SYS_gettimeofday || number == SYS_getcpu;
}

// Of a thread that has stopped at a system call.
bool EntersACountedCall(pid_t pid) {
  __ptrace_syscall_info info = {};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0) {
    return false;
  }
  return info.op == PTRACE_SYSCALL_INFO_ENTRY && !ReadsTheClock(info.entry.nr);
}

std::string ReadAll(int fd) {
  std::string text;
  char part[4096];
  for (ssize_t count; (count = read(fd, part, sizeof(part))) > 0;) {
    text.append(part, static_cast<size_t>(count));
  }
  return text;
}

// Lets the calling thread run on the CPU alone that it is on, for as long as it lives.
class OneCpu {
 public:
  OneCpu() {
    CPU_ZERO(&before_);
    pinned_ = sched_getaffinity(0, sizeof(before_), &before_) == 0;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(std::max(sched_getcpu(), 0), &here);
    sched_setaffinity(0, sizeof(here), &here);
  }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;
  ~OneCpu() {
    if (pinned_) {
      sched_setaffinity(0, sizeof(before_), &before_);
    }
  }

 private:
  cpu_set_t before_;
  bool pinned_;
};

// The child, while it runs and stops.
class Traced {
 public:
  Traced(pid_t pid, Counted counted) : pid_(pid), counted_(counted) {}

  // How often what is counted happened in each section, once the process has ended.
  absl::StatusOr<std::vector<uint64_t>> Run() {
    int status;
    while (true) {
      if (waitpid(pid_, &status, 0) != pid_) {
        return absl::ErrnoToStatus(errno, "waitpid() for a traced process");
      }
      if (!WIFSTOPPED(status)) {
        break;
      }
      if (absl::Status resumed = Resume(TakeStop(WSTOPSIG(status))); !resumed.ok()) {
        return resumed;
      }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotTrace) {
      return absl::PermissionDeniedError(
          "this process may not trace a child: ptrace(PTRACE_TRACEME) is refused; containers need "
          "the capability SYS_PTRACE for it");
    }
    if (status != 0) {
      return absl::InternalError(
          absl::StrCat("the traced process did not end well: wait status ", status));
    }
    return std::move(sections_);
  }

 private:
  // Returns the signal that the process is to get.
  int TakeStop(int signal) {
    if (std::exchange(fresh_, false)) {
      ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
      return 0;
    }
    if (signal == kMark) {
      in_section_ = !in_section_;
      if (in_section_) {
        sections_.push_back(0);
      }
      return 0;
    }
    if (signal == kSystemCallStop) {
      sections_.back() += EntersACountedCall(pid_);
      return 0;
    }
    if (signal == SIGTRAP && in_section_) {
      ++sections_.back();
      return 0;
    }
    return signal;
  }

  absl::Status Resume(int signal) {
    const auto request = !in_section_                         ? PTRACE_CONT
                         : counted_ == Counted::kInstructions ? PTRACE_SINGLESTEP
                                                              : PTRACE_SYSCALL;
    return ptrace(request, pid_, nullptr, signal) == 0
               ? absl::OkStatus()
               : absl::ErrnoToStatus(errno, "ptrace() of a process to be counted");
  }

  const pid_t pid_;
  const Counted counted_;
  bool fresh_ = true;  // until it has stopped at its execve()
  bool in_section_ = false;
  std::vector<uint64_t> sections_;
};

}  // namespace

void MarkSection() { raise(kMark); }

absl::StatusOr<Trace> TraceThisProgram(const std::vector<std::string>& arguments, Counted counted) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "pipe2() for a traced process's output");
  }
  const UniqueFd output(ends[0]);
  UniqueFd input(ends[1]);
  std::vector<char*> argv = {const_cast<char*>("traced")};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const OneCpu one_cpu;
  const pid_t pid = fork();
  if (pid == 0) {
    BecomeTraced(argv.data(), input.get(), counted);
  }
  if (pid < 0) {
    return absl::ErrnoToStatus(errno, "fork() for a process to be traced");
  }
  input = UniqueFd();
  absl::StatusOr<std::vector<uint64_t>> sections = Traced(pid, counted).Run();
  if (!sections.ok()) {
    return sections.status();
  }
  return Trace{*std::move(sections), ReadAll(output.get())};
}

}  // namespace shoal
