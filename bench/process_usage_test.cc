#include "shoal/bench/process_usage.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace shoal {
namespace {

TEST(UsageOfProcess, CountsItsSleeps) {
  const auto before = UsageOfProcess(getpid());
  poll(nullptr, 0, 1);
  const auto after = UsageOfProcess(getpid());
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(after.ok());
  EXPECT_GE((*after - *before).sleeps, 1u);
}

TEST(UsageOfProcess, CountsItsPageFaults) {
  constexpr size_t kPage = 4096;
  const auto before = UsageOfProcess(getpid());
  void* const memory =
      mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  *static_cast<volatile char*>(memory) = 1;
  const auto after = UsageOfProcess(getpid());
  munmap(memory, kPage);
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(after.ok());
  EXPECT_GE((*after - *before).page_faults, 1u);
}

TEST(UsageOfProcess, CountsItsCpuTime) {
  const auto before = UsageOfProcess(getpid());
  const auto after = UsageOfProcess(getpid());
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(after.ok());
  EXPECT_GT(after->cpu, before->cpu);
}

TEST(UsageOfProcess, FailsWhereThereIsNone) {
  constexpr pid_t kNobody = 0x7fffffff;
  EXPECT_EQ(UsageOfProcess(kNobody).status().code(), absl::StatusCode::kUnavailable);
}

TEST(UsageWithin, AddsWhatBothProcessesUse) {
  const pid_t self = getpid();
  const auto used = UsageWithin(absl::Milliseconds(1), self, self);
  ASSERT_TRUE(used.ok());
  EXPECT_GE(used->sleeps, 2u);
}

TEST(UsageWithin, HasNothingOfAProcessThatSleeps) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t sleeper = fork();
  if (sleeper == 0) {
    dup2(ends[0], STDIN_FILENO);
    execl("/bin/cat", "cat", nullptr);
    _exit(1);
  }
  close(ends[0]);
  // It is asleep as soon as it has used nothing for a while.
  absl::StatusOr<Usage> used;
  do {
    used = UsageWithin(absl::Milliseconds(1), sleeper, sleeper);
  } while (used.ok() && used->cpu > absl::ZeroDuration());
  EXPECT_TRUE(used.ok());
  close(ends[1]);
  EXPECT_EQ(waitpid(sleeper, nullptr, 0), sleeper);
}

}  // namespace
}  // namespace shoal
