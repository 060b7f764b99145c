#include "shoal/bench/median.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

TEST(Median, OfNothingIsZero) { EXPECT_EQ(Median(std::vector<double>()), 0); }

TEST(Median, IsTheMiddleOfAnOddNumber) { EXPECT_EQ(Median<int>({50, 1, 3}), 3); }

TEST(Median, IsTheLowerMiddleOfAnEvenNumber) { EXPECT_EQ(Median<int>({50, 1, 3, 4}), 3); }

}  // namespace
}  // namespace shoal
