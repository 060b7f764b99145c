#include "shoal/bench/workload.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

constexpr absl::Duration kNanosecond = absl::Nanoseconds(1);

Block BlockOn(absl::Duration floor) {
  return {.floor = {floor, floor}, .samples = {.times = {7 * kNanosecond}}};
}

Target SomeTarget() {
  return TimeTarget("3 ns",
                    [](const Round&, const Block&) { return std::optional(3 * kNanosecond); });
}

TEST(TimeOf, IsTheMedianOfTheBlock) {
  const WorkId id = {"work", "shm", 0};
  EXPECT_EQ(TimeOf(id, {{id, BlockOn(kNanosecond)}}), 7 * kNanosecond);
}

TEST(TimeOf, IsNothingForAWorkThatWasNotReached) { EXPECT_FALSE(TimeOf({"work", "shm", 0}, {})); }

TEST(AcrossCpus, KeepsATargetWhereThereAreTwo) {
  const Target target = AcrossCpus(SomeTarget());
  EXPECT_EQ(target.text, "3 ns");
  EXPECT_EQ(target.limit({}, BlockOn(kNanosecond)), 3);
}

TEST(AcrossCpus, KeepsWhatATargetBounds) {
  EXPECT_EQ(AcrossCpus(NoneTarget("no sleep", Quantity::kSleeps)).quantity, Quantity::kSleeps);
}

TEST(TimeTarget, IsOpenWhereTheTimeItIsMadeOfWasNotMeasured) {
  const Target target = TimeTarget(
      "half", [](const Round&, const Block&) { return std::optional(absl::ZeroDuration()); });
  EXPECT_FALSE(target.limit({}, BlockOn(kNanosecond)));
}

TEST(PartTarget, IsAPartOfTheTimeOfAnotherWorkInTheSameRound) {
  const WorkId other = {"other", "unix", 0};
  const Target target = PartTarget("2 unix", 2, other);
  EXPECT_EQ(target.limit({{other, BlockOn(kNanosecond)}}, BlockOn(kNanosecond)), 14);
  EXPECT_FALSE(target.limit({}, BlockOn(kNanosecond)));
}

TEST(NoneTarget, BoundsItsQuantityByZero) {
  const Target target = NoneTarget("no page fault", Quantity::kPageFaults);
  EXPECT_EQ(target.quantity, Quantity::kPageFaults);
  EXPECT_EQ(target.limit({}, BlockOn(kNanosecond)), 0);
}

TEST(AcrossCpus, LeavesATargetOpenWhereThereIsOne) {
  EXPECT_FALSE(AcrossCpus(SomeTarget()).limit({}, BlockOn(absl::ZeroDuration())));
}

}  // namespace
}  // namespace shoal
