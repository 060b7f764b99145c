#include "shoal/bench/histogram.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Histogram, OfNothingIsEmpty) { EXPECT_THAT(HistogramOf({}), IsEmpty()); }

TEST(Histogram, CountsTimesThatAreNearEachOtherTogether) {
  EXPECT_THAT(HistogramOf({absl::Nanoseconds(256), absl::Nanoseconds(278)}),
              ElementsAre(Bucket{256, 2}));
}

TEST(Histogram, TellsTimesApartThatDifferByATenthAndLeavesOutWhatIsEmpty) {
  const auto buckets = HistogramOf({absl::Nanoseconds(1024), absl::Nanoseconds(256),
                                    absl::Nanoseconds(282), absl::Nanoseconds(257)});
  ASSERT_EQ(buckets.size(), 3u);
  EXPECT_EQ(buckets[0], (Bucket{256, 2}));
  EXPECT_NEAR(buckets[1].lower_ns, 279.2, 0.1);
  EXPECT_EQ(buckets[1].count, 1u);
  EXPECT_EQ(buckets[2], (Bucket{1024, 1}));
}

TEST(Histogram, TakesNoTimeForANanosecond) {
  EXPECT_THAT(HistogramOf({absl::ZeroDuration()}), ElementsAre(Bucket{1, 1}));
}

}  // namespace
}  // namespace shoal
