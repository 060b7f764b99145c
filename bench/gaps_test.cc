#include "shoal/bench/gaps.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

constexpr absl::Duration kMean = absl::Microseconds(100);
constexpr int kMany = 100000;

TEST(ExponentialGaps, HaveTheMeanTheyAreMadeWith) {
  ExponentialGaps gaps(kMean);
  absl::Duration sum;
  for (int i = 0; i < kMany; ++i) {
    sum += gaps.Next();
  }
  EXPECT_NEAR(absl::FDivDuration(sum, kMany * kMean), 1, 0.02);
}

TEST(ExponentialGaps, AreAboveTheirMeanOnceInE) {
  ExponentialGaps gaps(kMean);
  int longer = 0;
  for (int i = 0; i < kMany; ++i) {
    longer += gaps.Next() > kMean ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(longer) / kMany, 0.3679, 0.01);
}

TEST(ExponentialGaps, AreTheSameEveryTime) {
  ExponentialGaps one(kMean);
  ExponentialGaps other(kMean);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(one.Next(), other.Next());
  }
}

TEST(ExponentialGaps, AreAboveZero) {
  ExponentialGaps gaps(absl::Nanoseconds(1));
  for (int i = 0; i < 100; ++i) {
    EXPECT_GT(gaps.Next(), absl::ZeroDuration());
  }
}

}  // namespace
}  // namespace shoal
