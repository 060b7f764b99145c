#include "shoal/transport/spin_budget.h"

#include <chrono>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

using Peer = SpinBudget::Peer;

constexpr SpinBudget::Clock::duration kNoSpin{0};
constexpr absl::Duration kLimit = absl::Microseconds(50);

// A wait that began, slept and ended.
void Sleep(SpinBudget& budget, SpinBudget::Clock::duration waited, Peer peer = Peer::kAwake) {
  budget.Begin(peer);
  budget.Slept(waited);
}

// As many long waits as it takes to sleep at once.
void SleepForLong(SpinBudget& budget) {
  for (int i = 0; i < 3; ++i) {
    Sleep(budget, seconds(10));
  }
}

// How many of the next `waits` may spin.
int SpinsAmong(int waits, SpinBudget& budget, Peer peer, SpinBudget::Clock::duration waited) {
  int spins = 0;
  for (int i = 0; i < waits; ++i) {
    spins += budget.Begin(peer) > kNoSpin ? 1 : 0;
    budget.Slept(waited);
  }
  return spins;
}

TEST(SpinBudget, IsTheLimitAtFirst) {
  SpinBudget budget(kLimit);
  EXPECT_EQ(budget.Begin(Peer::kAwake), microseconds(50));
  SpinBudget day(absl::Hours(24));
  EXPECT_EQ(day.Begin(Peer::kAwake), hours(24));
}

TEST(SpinBudget, AllowsForTheWakeUpOfAPeerThatWasRung) {
  SpinBudget budget(kLimit);
  EXPECT_EQ(budget.Begin(Peer::kRung), microseconds(200));
}

TEST(SpinBudget, StaysWhileWaitsEndWithinIt) {
  SpinBudget budget(kLimit);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(budget.Begin(Peer::kAwake), microseconds(50));
    budget.SpinWon(microseconds(10));
  }
}

TEST(SpinBudget, StaysWhileSleepsAreShort) {
  SpinBudget budget(kLimit);
  EXPECT_EQ(SpinsAmong(1000, budget, Peer::kAwake, microseconds(90)), 1000);
}

TEST(SpinBudget, SleepsAtOnceAfterAFewLongWaits) {
  SpinBudget budget(kLimit);
  SleepForLong(budget);
  EXPECT_EQ(budget.Begin(Peer::kAwake), kNoSpin);
}

TEST(SpinBudget, TriesASpinInEveryEighthWaitThatSleepsAtOnce) {
  SpinBudget budget(kLimit);
  SleepForLong(budget);
  EXPECT_EQ(SpinsAmong(800, budget, Peer::kAwake, seconds(10)), 100);
}

TEST(SpinBudget, SpinsAgainOnceATrialHasWon) {
  SpinBudget budget(kLimit);
  SleepForLong(budget);
  while (budget.Begin(Peer::kAwake) == kNoSpin) {
    budget.Slept(seconds(10));
  }
  budget.SpinWon(microseconds(10));
  EXPECT_EQ(SpinsAmong(10, budget, Peer::kAwake, microseconds(30)), 10);
}

TEST(SpinBudget, SpinsAgainAfterAFewShortSleeps) {
  SpinBudget budget(kLimit);
  for (int i = 0; i < 100; ++i) {
    Sleep(budget, hours(24 * 365));
  }
  for (int i = 0; i < 10; ++i) {
    Sleep(budget, microseconds(30));
  }
  EXPECT_EQ(SpinsAmong(10, budget, Peer::kAwake, microseconds(30)), 10);
}

TEST(SpinBudget, IsTwiceTheLimitWhereWaitsLastAboutAsLong) {
  SpinBudget budget(kLimit);
  for (int i = 0; i < 10; ++i) {
    budget.Begin(Peer::kAwake);
    budget.SpinWon(microseconds(45));
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(budget.Begin(Peer::kAwake), microseconds(100));
    budget.SpinWon(microseconds(70));
  }
}

TEST(SpinBudget, SpinsForTheCompanyOfWhatEndedASleep) {
  SpinBudget budget(kLimit);
  int spins_before_company = 0;
  for (int i = 0; i < 100; ++i) {
    spins_before_company += budget.Begin(Peer::kAwake) > kNoSpin ? 1 : 0;
    budget.Slept(seconds(10));
    ASSERT_EQ(budget.Begin(Peer::kAwake), microseconds(50));
    budget.SpinWon(microseconds(10));
  }
  EXPECT_LE(spins_before_company, 16) << "two to learn, and one in eight";
}

TEST(SpinBudget, JudgesWaitsForARungPeerByThemselves) {
  SpinBudget budget(kLimit);
  for (int i = 0; i < 10; ++i) {
    Sleep(budget, seconds(10), Peer::kRung);
  }
  EXPECT_EQ(budget.Begin(Peer::kAwake), microseconds(50));
}

TEST(SpinBudget, HardlyEverSpinsOnThePeersCpu) {
  SpinBudget budget(kLimit);
  EXPECT_EQ(SpinsAmong(640, budget, Peer::kOnThisCpu, microseconds(5)), 10);
}

TEST(SpinBudget, NeverSpinsWithAZeroLimit) {
  SpinBudget budget(absl::ZeroDuration());
  for (const Peer peer : {Peer::kAwake, Peer::kRung, Peer::kOnThisCpu}) {
    EXPECT_EQ(SpinsAmong(100, budget, peer, nanoseconds(1)), 0);
  }
}

TEST(SpinBudget, NeverSleepsWithAnInfiniteLimit) {
  SpinBudget budget(absl::InfiniteDuration());
  for (int i = 0; i < 100; ++i) {
    Sleep(budget, hours(24 * 365));
  }
  EXPECT_GE(budget.Begin(Peer::kAwake), hours(24 * 365 * 100));
  EXPECT_GE(budget.Begin(Peer::kOnThisCpu), hours(24 * 365 * 100));
}

TEST(SpinBudget, AdaptsWithTheSmallestAndTheLargestFiniteLimit) {
  SpinBudget smallest(absl::Nanoseconds(1));
  SpinBudget largest(absl::Hours(24));
  for (int i = 0; i < 6; ++i) {
    Sleep(smallest, seconds(1));
    Sleep(largest, hours(24 * 365 * 100));
  }
  EXPECT_EQ(smallest.Begin(Peer::kAwake), kNoSpin);
  EXPECT_EQ(largest.Begin(Peer::kAwake), kNoSpin);
}

TEST(SpinUntil, DoesNotLookWithoutABudget) {
  int looks = 0;
  EXPECT_FALSE(SpinUntil(kNoSpin, [&] { return ++looks > 0; }));
  EXPECT_FALSE(SpinUntil(nanoseconds(-1), [&] { return ++looks > 0; }));
  EXPECT_EQ(looks, 0);
}

TEST(SpinUntil, EndsWithTheFirstLookThatFindsWhatItWaitsFor) {
  int looks = 0;
  EXPECT_TRUE(SpinUntil(hours(24 * 365 * 100), [&] { return ++looks == 1000; }));
  EXPECT_EQ(looks, 1000);
}

TEST(SpinUntil, TellsHowLongItTook) {
  const auto begin = SpinBudget::Clock::now();
  int looks = 0;  // 16 between two looks at the clock
  const auto spun = SpinUntil(hours(1), [&] { return ++looks > 16; });
  ASSERT_TRUE(spun.has_value());
  EXPECT_GT(*spun, nanoseconds(0));
  EXPECT_LE(*spun, SpinBudget::Clock::now() - begin);
}

TEST(SpinUntil, GivesUpAtTheEndOfItsBudget) {
  int looks = 0;
  EXPECT_FALSE(SpinUntil(microseconds(20), [&] { return ++looks < 0; }));
  EXPECT_GT(looks, 0);
}

}  // namespace
}  // namespace shoal
