// What a test asks of, or does to, the process that it runs in.
#pragma once

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "gtest/gtest.h"

namespace shoal {

// fork(), but throws where there can be no child: minus one stands for everybody in kill().
inline pid_t Fork() {
  const pid_t child = fork();
  if (child < 0) {
    throw std::system_error(errno, std::generic_category(), "fork");
  }
  return child;
}

// Forks, and lets the child do `body`; its failures are this test's.
template <typename Body>
void InAChild(Body body) {
  const pid_t child = Fork();
  if (child == 0) {
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

// The descriptors that this process has open, and one that this function has.
inline size_t OpenDescriptors() {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

// The memory files that this process has mapped.
struct SharedMemory {
  size_t mappings = 0;
  uint64_t touched_bytes = 0;  // twice what is mapped twice
};

// Counts in the page tables. The kernel's counters in /proc/self/status are kept per CPU, and may
// be behind what was (proc_pid_status(5)).
inline SharedMemory MappedSharedMemory() {
  SharedMemory memory;
  std::ifstream maps("/proc/self/smaps");
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    if (uint64_t kibibytes = 0; sscanf(line.c_str(), "Rss: %" SCNu64, &kibibytes) == 1) {
      memory.touched_bytes += ours ? kibibytes * 1024 : 0;
    } else if (line.find(':') > line.find(' ')) {  // the line that begins a mapping
      ours = line.find("/memfd:") != std::string::npos;
      memory.mappings += ours ? 1 : 0;
    }
  }
  return memory;
}

// Lowers a resource limit, RLIMIT_NOFILE for example, of this process for as long as it lives.
class LoweredLimit {
 public:
  LoweredLimit(decltype(RLIMIT_NOFILE) resource, rlim_t value) : resource_(resource) {
    EXPECT_EQ(getrlimit(resource, &before_), 0);
    const rlimit lowered{value, before_.rlim_max};
    EXPECT_EQ(setrlimit(resource, &lowered), 0);
  }
  LoweredLimit(const LoweredLimit&) = delete;
  LoweredLimit& operator=(const LoweredLimit&) = delete;
  ~LoweredLimit() { EXPECT_EQ(setrlimit(resource_, &before_), 0); }

 private:
  const decltype(RLIMIT_NOFILE) resource_;
  rlimit before_;
};

// Makes root obey limits and permissions as anybody, in the calling thread until it ends.
inline void DropCapabilitiesOfThisThread() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2]{};
  ASSERT_EQ(syscall(SYS_capset, &header, none), 0);
}

}  // namespace shoal
