#include "shoal/bench/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"

namespace shoal {
namespace {

TEST(HeldMemory, GrowsByWhatIsTouched) {
  constexpr size_t kBytes = size_t{32} << 20;
  const auto before = HeldMemory(getpid());
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const auto mapped = HeldMemory(getpid());
  memset(memory, 1, kBytes);
  const auto touched = HeldMemory(getpid());
  munmap(memory, kBytes);
  ASSERT_TRUE(before.ok() && mapped.ok() && touched.ok());
  EXPECT_LT(*mapped - *before, kBytes);
  EXPECT_GE(*touched - *mapped, 2 * kBytes);  // this process twice
}

TEST(HeldMemory, IsNoLessWhenAnotherProcessMapsTheSameLibraries) {
  const auto before = HeldMemory(getpid());
  ChildProcess other({"/bin/sh", "-c", "echo started; exec sleep infinity"});
  ASSERT_EQ(other.ReadLine(), "started");
  const auto after = HeldMemory(getpid());
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_GE(*after, *before);
}

TEST(HeldMemory, IsNotToldOfAProcessThatIsNotThere) {
  EXPECT_EQ(HeldMemory(0).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace shoal
