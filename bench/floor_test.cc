#include "shoal/bench/floor.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace shoal {
namespace {

Floor FloorOf(int64_t before_ns, int64_t after_ns) {
  return {absl::Nanoseconds(before_ns), absl::Nanoseconds(after_ns)};
}

TEST(Floor, IsTheMeanOfWhatItWasBeforeAndAfter) {
  EXPECT_EQ(FloorOf(100, 120).Mean(), absl::Nanoseconds(110));
}

TEST(Floor, IsSteadyWhileItStaysWithinThirtyPercent) { EXPECT_TRUE(FloorOf(130, 100).Steady()); }

TEST(Floor, IsNotSteadyWhenItRose) { EXPECT_FALSE(FloorOf(100, 131).Steady()); }

TEST(Floor, IsNotSteadyWhenItFell) { EXPECT_FALSE(FloorOf(131, 100).Steady()); }

TEST(Floor, IsSteadyOnOneCpu) { EXPECT_TRUE(FloorOf(0, 0).Steady()); }

}  // namespace
}  // namespace shoal
