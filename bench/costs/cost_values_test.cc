#include "shoal/bench/costs/cost_values.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

CostValues SomeValues() {
  return {.toolchain = "abacus 9",
          .costs = {{.work = "ping", .allocations = 93, .system_calls = 0.5, .instructions = 1000},
                    {.work = "pong", .allocations = 0.25}}};
}

CostValues WithPing(const Costs& ping) {
  CostValues values = SomeValues();
  values.costs[0] = ping;
  return values;
}

TEST(CostValues, AreReadAsTheyWereWritten) {
  const auto read = ParseCostValues(ToText(SomeValues()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, SomeValues());
}

TEST(CostValues, HaveALineForEachWork) {
  EXPECT_THAT(ToText(SomeValues()),
              HasSubstr("\ntoolchain\tabacus 9\nping\t1000\t93\t0.5\npong\t-\t0.25\t-\n"));
}

TEST(CostValues, NameTheLineThatIsNone) {
  const auto read = ParseCostValues("toolchain\tx\nping\t1000\tmany\t1\n");
  EXPECT_EQ(read.status().message(),
            "line 2, 'ping\t1000\tmany\t1', is not a work and three numbers between tabs");
}

TEST(CostValues, MustHaveAllocations) { EXPECT_FALSE(ParseCostValues("ping\t1000\t-\t1\n").ok()); }

TEST(Compare, FindsNothingWhereAllIsTheSame) {
  const Comparison comparison = Compare(SomeValues(), SomeValues());
  EXPECT_THAT(comparison.exceeded, IsEmpty());
  EXPECT_THAT(comparison.table, Not(HasSubstr("not judged")));
}

TEST(Compare, NamesEachCostThatHasGrown) {
  EXPECT_THAT(Compare(SomeValues(), WithPing({"ping", 94, 0.75, 1050})).exceeded,
              ElementsAre("ping: 1050 instructions an operation, committed are 1000",
                          "ping: 94 allocations an operation, committed are 93",
                          "ping: 0.75 system calls an operation, committed are 0.5"));
}

TEST(Compare, TakesAFewInstructionsMoreForTheSame) {
  EXPECT_THAT(Compare(SomeValues(), WithPing({"ping", 93, 0.5, 1009})).exceeded, IsEmpty());
}

TEST(Compare, TakesLessForWhatItIs) {
  const Comparison comparison = Compare(SomeValues(), WithPing({"ping", 40, 0, 500}));
  EXPECT_THAT(comparison.exceeded, IsEmpty());
  EXPECT_THAT(comparison.table, HasSubstr("-50.00 %"));
}

TEST(Compare, JudgesNoInstructionsOfAnotherToolchain) {
  CostValues measured = WithPing({"ping", 94, 0.5, 2000});
  measured.toolchain = "abacus 10";
  const Comparison comparison = Compare(SomeValues(), measured);
  EXPECT_THAT(comparison.exceeded,
              ElementsAre("ping: 94 allocations an operation, committed are 93"));
  EXPECT_THAT(comparison.table, HasSubstr("another toolchain, so instructions are not judged"));
}

TEST(Compare, JudgesNothingThatWasNotCounted) {
  EXPECT_THAT(Compare(SomeValues(), WithPing({.work = "ping", .allocations = 93})).exceeded,
              IsEmpty());
}

TEST(Compare, WantsTheSameWorksOnBothSides) {
  CostValues measured = SomeValues();
  measured.costs[1].work = "other";
  EXPECT_THAT(
      Compare(SomeValues(), measured).exceeded,
      ElementsAre("other: nothing is committed for it", "pong: committed, and not measured"));
}

}  // namespace
}  // namespace shoal
