#include "shoal/transport/look_pace.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

// How many calls, `gap` milliseconds apart, it takes until one is to look. The peer's last sign of
// life is `sign`.
int CallsUntilDue(LookPace& pace, int64_t& now, int64_t gap, uint64_t sign) {
  for (int calls = 1;; ++calls) {
    now += gap;
    if (pace.Count() && pace.IsDueAt(now, sign)) {
      return calls;
    }
  }
}

constexpr uint32_t kLeastSteps[] = {1, 8};

TEST(LookPace, LooksWithinAThousandCallsWhateverTheirPace) {
  for (const uint32_t least_step : kLeastSteps) {
    for (const int64_t gap : {0, 1, 3, 20, 1000}) {
      LookPace pace(least_step);
      int64_t now = 5'000'000;
      EXPECT_LE(CallsUntilDue(pace, now, gap, 7), 1000);
      EXPECT_LE(CallsUntilDue(pace, now, 0, 7), 1000) << "after a change of pace";
      EXPECT_LE(CallsUntilDue(pace, now, gap, 8), 1000) << "after a sign of life";
    }
  }
}

TEST(LookPace, LooksWithinATenthOfASecondAtAPace) {
  for (const int64_t gap : {1, 2, 5, 10, 20, 24, 49}) {
    LookPace pace(1);
    int64_t now = 5'000'000;
    CallsUntilDue(pace, now, gap, 7);
    const int64_t death = now;
    CallsUntilDue(pace, now, gap, 8);
    EXPECT_LE(now - death, 100) << "at a call in " << gap << " ms";
  }
}

TEST(LookPace, LooksSeldomAtCallsThatComeFast) {
  LookPace pace(8);
  int looks = 0;
  for (int call = 0; call < 100'000; ++call) {
    looks += pace.Count() && pace.IsDueAt(5'000'000, 7) ? 1 : 0;
  }
  EXPECT_LE(looks, 100'000 / static_cast<int>(LookPace::kCalls));
}

TEST(LookPace, NeverLooksWhileThePeerShowsLife) {
  for (const int64_t gap : {0, 5, 1000}) {
    LookPace pace(1);
    for (int64_t call = 0; call < 10'000; ++call) {
      EXPECT_FALSE(pace.Count() && pace.IsDueAt(5'000'000 + call * gap, call));
    }
  }
}

}  // namespace
}  // namespace shoal
