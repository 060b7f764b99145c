#include "shoal/transport/deadline.h"

#include <chrono>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using std::chrono::hours;
using std::chrono::nanoseconds;

constexpr absl::Duration kYear = absl::Hours(24 * 365);
constexpr Deadline::Clock::duration kNothing{0};

TEST(Deadline, HasPassedAtOnceAfterNoTime) {
  const Deadline deadline = Deadline::After(absl::ZeroDuration());
  EXPECT_TRUE(deadline.passed());
  EXPECT_FALSE(deadline.never());
  EXPECT_EQ(deadline.Left(hours(1)), kNothing);
}

TEST(Deadline, HasPassedAfterANegativeTime) {
  const Deadline deadline = Deadline::After(absl::Seconds(-1));
  EXPECT_TRUE(deadline.passed());
  EXPECT_EQ(deadline.Left(hours(1)), kNothing);
}

TEST(Deadline, HasPassedAfterTheMostNegativeTime) {
  const Deadline deadline = Deadline::After(-absl::InfiniteDuration());
  EXPECT_TRUE(deadline.passed());
  EXPECT_FALSE(deadline.never());
  EXPECT_EQ(deadline.Left(hours(1)), kNothing);
}

TEST(Deadline, NeverPassesAfterInfiniteTime) {
  const Deadline deadline = Deadline::After(absl::InfiniteDuration());
  EXPECT_TRUE(deadline.never());
  EXPECT_FALSE(deadline.passed());
  EXPECT_EQ(deadline.Left(hours(1)), hours(1));
}

TEST(Deadline, HasNotPassedForAHundredYears) {
  const Deadline deadline = Deadline::After(100 * kYear);
  EXPECT_FALSE(deadline.never());
  EXPECT_FALSE(deadline.passed());
  EXPECT_EQ(deadline.Left(hours(1)), hours(1));
  EXPECT_GT(deadline.Left(nanoseconds::max()), hours(24 * 365 * 99));
}

TEST(Deadline, IsNeverAboveAHundredYears) {
  EXPECT_TRUE(Deadline::After(100 * kYear + absl::Nanoseconds(1)).never());
  EXPECT_TRUE(Deadline::After(10'000 * kYear).never());
}

TEST(Deadline, LeavesWhatIsLeftWhenThatIsLessThanAsked) {
  const Deadline deadline = Deadline::After(absl::Hours(1));
  EXPECT_FALSE(deadline.passed());
  const Deadline::Clock::duration left = deadline.Left(hours(2));
  EXPECT_GT(left, kNothing);
  EXPECT_LE(left, hours(1));
}

TEST(Deadline, LeavesLessAsTimeGoesOn) {
  const Deadline deadline = Deadline::After(absl::Hours(1));
  const Deadline::Clock::duration before = deadline.Left(hours(2));
  EXPECT_LE(deadline.Left(hours(2)), before);
}

TEST(Deadline, LeavesNothingWhereNothingIsAskedFor) {
  EXPECT_EQ(Deadline::After(absl::Hours(1)).Left(nanoseconds(-5)), kNothing);
  EXPECT_EQ(Deadline::After(absl::InfiniteDuration()).Left(nanoseconds(-5)), kNothing);
}

TEST(Deadline, PassesWhenItsTimeIsOver) {
  const Deadline deadline = Deadline::After(absl::Microseconds(50));
  const Deadline::Clock::time_point begin = Deadline::Clock::now();
  while (Deadline::Clock::now() - begin < std::chrono::microseconds(50)) {
  }
  EXPECT_TRUE(deadline.passed());
}

TEST(Deadline, KeepsToAClockThatNobodySets) { EXPECT_TRUE(Deadline::Clock::is_steady); }

TEST(ToTimespec, SplitsSecondsFromNanoseconds) {
  const timespec time = ToTimespec(std::chrono::milliseconds(90'061'500));
  EXPECT_EQ(time.tv_sec, 90'061);
  EXPECT_EQ(time.tv_nsec, 500'000'000);
}

}  // namespace
}  // namespace shoal
