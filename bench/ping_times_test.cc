#include "shoal/bench/ping_times.h"

#include <vector>

#include "gtest/gtest.h"

namespace shoal {
namespace {

constexpr absl::Duration kMicrosecond = absl::Microseconds(1);

TEST(PingTimes, IsZeroWithoutBlocks) {
  const PingTimes times;
  EXPECT_EQ(times.Median(), absl::ZeroDuration());
  EXPECT_EQ(times.Percentile99(), absl::ZeroDuration());
}

TEST(PingTimes, HasTheOnlyRoundTripAsItsMedianAndItsPercentile) {
  PingTimes times;
  times.AddBlock({7 * kMicrosecond});
  EXPECT_EQ(times.Median(), 7 * kMicrosecond);
  EXPECT_EQ(times.Percentile99(), 7 * kMicrosecond);
}

TEST(PingTimes, CountsAnEmptyBlockForNothing) {
  PingTimes times;
  times.AddBlock({});
  times.AddBlock({7 * kMicrosecond});
  EXPECT_EQ(times.Median(), 7 * kMicrosecond);
}

TEST(PingTimes, GivesEachBlockOneVoteInTheMedian) {
  PingTimes times;
  times.AddBlock({3 * kMicrosecond, kMicrosecond, 2 * kMicrosecond});
  times.AddBlock({4 * kMicrosecond});
  times.AddBlock(std::vector<absl::Duration>(5, 50 * kMicrosecond));
  EXPECT_EQ(times.Median(), 4 * kMicrosecond);
}

TEST(PingTimes, LeavesOneInAHundredOutOfThePercentile) {
  std::vector<absl::Duration> round_trips(99, kMicrosecond);
  round_trips.push_back(absl::Seconds(1));
  PingTimes times;
  times.AddBlock(round_trips);
  EXPECT_EQ(times.Percentile99(), kMicrosecond);
}

TEST(PingTimes, CountsEveryRoundTripOfEveryBlockInThePercentile) {
  std::vector<absl::Duration> round_trips(48, kMicrosecond);
  round_trips.insert(round_trips.end(), 2, absl::Seconds(1));
  PingTimes times;
  times.AddBlock(round_trips);
  times.AddBlock(std::vector<absl::Duration>(50, kMicrosecond));
  EXPECT_EQ(times.Percentile99(), absl::Seconds(1));
}

}  // namespace
}  // namespace shoal
