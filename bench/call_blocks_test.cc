#include "shoal/bench/call_blocks.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

constexpr absl::Duration kMicrosecond = absl::Microseconds(1);

// A block whose ping may cost 8 us, and whose read 15.
CallBlock BlockOf(absl::Duration shm) {
  return {.shm = shm,
          .client_loopback = 4 * kMicrosecond,
          .server_loopback = 6 * kMicrosecond,
          .floor = {kMicrosecond, 2 * kMicrosecond},
          .read = absl::Microseconds(9.5)};
}

TEST(CallBlock, MayCostTheMeanLoopbackAndTwoMeanFloors) {
  EXPECT_EQ(Limit(CallLimit::kHandovers, BlockOf(kMicrosecond)), 8 * kMicrosecond);
}

TEST(CallBlock, MayCostATenthMoreThanTheLoopbackAndTheRead) {
  EXPECT_EQ(Limit(CallLimit::kRead, BlockOf(kMicrosecond)), 15 * kMicrosecond);
}

TEST(CallSummary, HasTheMedianOfTheRatiosOfTheBlocks) {
  CallBlock slow_machine = BlockOf(40 * kMicrosecond);
  slow_machine.client_loopback *= 10;
  slow_machine.server_loopback *= 10;
  slow_machine.floor.before *= 10;
  slow_machine.floor.after *= 10;
  const CallSummary summary = Summarize(
      CallLimit::kHandovers, {BlockOf(8 * kMicrosecond), slow_machine, BlockOf(2 * kMicrosecond)});
  EXPECT_EQ(summary.blocks, 3u);
  EXPECT_EQ(summary.shm, 8 * kMicrosecond);
  EXPECT_EQ(summary.ratio, 0.5);
}

TEST(CallSummary, IsMetByACallThatCostsItsLimit) {
  EXPECT_TRUE(Summarize(CallLimit::kHandovers, {BlockOf(8 * kMicrosecond)}).Met());
}

TEST(CallSummary, IsNotMetByACallThatCostsMore) {
  EXPECT_FALSE(Summarize(CallLimit::kHandovers, {BlockOf(absl::Microseconds(8.1))}).Met());
}

}  // namespace
}  // namespace shoal
