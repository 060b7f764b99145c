#include "shoal/bench/cross_cpu.h"

#include <vector>

#include "gtest/gtest.h"
#include "shoal/bench/cpus.h"

namespace shoal {
namespace {

constexpr int kNoSuchCpu = 1023;

TEST(CrossCpu, CostsNothingWithinOneCpu) {
  EXPECT_EQ(*TimeHandover(0, 0, 3), absl::ZeroDuration());
  EXPECT_EQ(*TimeCrossRead(0, 0, 4096, 3), absl::ZeroDuration());
  EXPECT_EQ(*TimeCrossStream(0, 0, 4096, 3), absl::ZeroDuration());
}

TEST(CrossCpu, TakesTimeBetweenTwo) {
  const std::vector<int> cpus = AllowedCpus();
  const bool two = cpus.size() > 1;
  EXPECT_EQ(*TimeHandover(cpus.front(), cpus.back(), 3) > absl::ZeroDuration(), two);
  EXPECT_EQ(*TimeCrossRead(cpus.front(), cpus.back(), 4096, 3) > absl::ZeroDuration(), two);
  EXPECT_EQ(*TimeCrossStream(cpus.front(), cpus.back(), 65536, 99) > absl::ZeroDuration(), two);
}

TEST(CrossCpu, EndsWhenTheNearCpuIsNotThere) {
  const int cpu = AllowedCpus().front();
  EXPECT_EQ(TimeHandover(kNoSuchCpu, cpu, 3).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(CrossCpu, EndsWhenTheFarCpuIsNotThere) {
  const int cpu = AllowedCpus().front();
  EXPECT_EQ(TimeCrossRead(cpu, kNoSuchCpu, 4096, 3).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace shoal
