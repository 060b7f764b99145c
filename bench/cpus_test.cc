#include "shoal/bench/cpus.h"

#include <sched.h>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

absl::StatusOr<int> CurrentCpu() { return sched_getcpu(); }

TEST(Cpus, RunsOnTheCpuThatIsNamed) {
  for (const int cpu : AllowedCpus()) {
    EXPECT_EQ(*RunOn(cpu, CurrentCpu), cpu);
  }
}

TEST(Cpus, LeavesTheCallingThreadWhereItMayRun) {
  const std::vector<int> before = AllowedCpus();
  ASSERT_FALSE(before.empty());
  ASSERT_TRUE(RunOn(before.front(), CurrentCpu).ok());
  EXPECT_EQ(AllowedCpus(), before);
}

TEST(Cpus, RefusesACpuThatIsNotThere) {
  EXPECT_EQ(RunOn(CPU_SETSIZE - 1, CurrentCpu).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace shoal
