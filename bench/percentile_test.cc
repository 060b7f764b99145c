#include "shoal/bench/percentile.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace shoal {
namespace {

// 1 to `last`, the largest first.
std::vector<int> UpTo(int last) {
  std::vector<int> values(last);
  std::iota(values.rbegin(), values.rend(), 1);
  return values;
}

TEST(Percentile, OfNothingIsZero) { EXPECT_EQ(Percentile(std::vector<int>(), 990), 0); }

TEST(Percentile, OfOneValueIsThat) { EXPECT_EQ(Percentile(std::vector<int>{7}, 0), 7); }

TEST(Percentile, IsAValueThatWasMeasured) {
  EXPECT_EQ(Percentile(UpTo(4), 500), 2);
  EXPECT_EQ(Percentile(UpTo(5), 500), 3);
}

TEST(Percentile, LeavesOutAsManyAsItSays) {
  EXPECT_EQ(Percentile(UpTo(2000), 990), 1980);
  EXPECT_EQ(Percentile(UpTo(2000), 999), 1998);
}

TEST(Percentile, OfAllIsTheLargest) { EXPECT_EQ(Percentile(UpTo(10), 1000), 10); }

}  // namespace
}  // namespace shoal
