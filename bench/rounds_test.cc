#include "shoal/bench/rounds.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

constexpr absl::Duration kNanosecond = absl::Nanoseconds(1);

const WorkId kWork = {"work", "shm", 100};

Block BlockOf(int time_ns, int floor_before_ns = 100, int floor_after_ns = 100) {
  return {.floor = {floor_before_ns * kNanosecond, floor_after_ns * kNanosecond},
          .samples = {.times = {time_ns * kNanosecond}}};
}

Result TimesOf(const std::vector<Round>& rounds) {
  return Summarize(kWork, Measure::kTime, std::nullopt, rounds);
}

TEST(Summarize, TakesSamplesOfAllRoundsTogether) {
  Block many = BlockOf(1);
  many.samples.times.assign(98, 200 * kNanosecond);
  const Result result = TimesOf({{{kWork, BlockOf(300)}}, {{kWork, many}}, {{kWork, BlockOf(7)}}});
  EXPECT_EQ(result.blocks, 3u);
  EXPECT_EQ(result.samples, 100u);
  EXPECT_EQ(result.p50_ns, 200);
  EXPECT_EQ(result.p99_ns, 200);
  EXPECT_EQ(result.p999_ns, 300);
  EXPECT_EQ(result.max_ns, 300);
}

TEST(Summarize, LeavesOutBlocksWhoseFloorMoved) {
  const Result result = TimesOf({{{kWork, BlockOf(200)}}, {{kWork, BlockOf(900, 100, 500)}}});
  EXPECT_EQ(result.blocks, 1u);
  EXPECT_EQ(result.moved_blocks, 1u);
  EXPECT_FALSE(result.floor_moved);
  EXPECT_EQ(result.max_ns, 200);
}

TEST(Summarize, SaysSoWhereTheFloorMovedInEveryBlock) {
  const Result result = TimesOf({{{kWork, BlockOf(900, 100, 500)}}});
  EXPECT_EQ(result.blocks, 1u);
  EXPECT_EQ(result.moved_blocks, 1u);
  EXPECT_TRUE(result.floor_moved);
  EXPECT_EQ(result.p50_ns, 900);
}

TEST(Summarize, HasNothingOfAWorkThatWasNotReached) {
  const Result result = TimesOf({{}});
  EXPECT_EQ(result.samples, 0u);
  EXPECT_FALSE(result.floor_moved);
  EXPECT_FALSE(result.ratio);
}

TEST(Summarize, TakesTheRatioToTheFloorWithinEachBlock) {
  const Result result = TimesOf(
      {{{kWork, BlockOf(200)}}, {{kWork, BlockOf(1500, 500, 500)}}, {{kWork, BlockOf(1000)}}});
  EXPECT_EQ(result.ratio, 3);
}

TEST(Summarize, HasNoRatioOnOneCpu) {
  EXPECT_FALSE(TimesOf({{{kWork, BlockOf(200, 0, 0)}}}).ratio);
}

const WorkId kOther = {"other", "shm", 0};

// Twice what another work takes in the same round.
Target TwiceTheOther() {
  return {"2 other", [](const Round& round, const Block&) -> std::optional<double> {
            const auto other = round.find(kOther);
            return other == round.end()
                       ? std::nullopt
                       : std::optional(2 * absl::ToDoubleNanoseconds(other->second.Time()));
          }};
}

TEST(Summarize, ComparesWithTheLimitOfTheSameRound) {
  const Result result = Summarize(kWork, Measure::kTime, TwiceTheOther(),
                                  {{{kWork, BlockOf(200)}, {kOther, BlockOf(100)}},
                                   {{kWork, BlockOf(2000)}, {kOther, BlockOf(1000)}},
                                   {{kWork, BlockOf(300)}, {kOther, BlockOf(100)}}});
  EXPECT_EQ(result.target, "2 other");
  EXPECT_EQ(result.limit_ns, 200);
  EXPECT_EQ(result.met, Met::kYes);
}

TEST(Summarize, DoesNotMeetATargetWhereMoreWasTaken) {
  const Result result = Summarize(kWork, Measure::kTime, TwiceTheOther(),
                                  {{{kWork, BlockOf(201)}, {kOther, BlockOf(100)}}});
  EXPECT_EQ(result.met, Met::kNo);
}

TEST(Summarize, LeavesATargetOpenWhereWhatItNeedsIsMissing) {
  const Result result =
      Summarize(kWork, Measure::kTime, TwiceTheOther(), {{{kWork, BlockOf(200)}}});
  EXPECT_EQ(result.target, "2 other");
  EXPECT_EQ(result.met, Met::kNone);
}

Target AtMost(double limit, Quantity quantity) {
  return {"at most", [limit](const Round&, const Block&) { return std::optional(limit); },
          quantity};
}

Block BlockThatUsed(const Usage& used, uint64_t operations) {
  return {.floor = {}, .samples = {.operations = operations, .used = used}};
}

TEST(Summarize, BoundsTheCpuTimeOfAnOperation) {
  const std::vector<Round> rounds = {{{kWork, BlockThatUsed({.cpu = 100 * kNanosecond}, 10)}}};
  const Result result = Summarize(kWork, Measure::kTime, AtMost(10, Quantity::kCpu), rounds);
  EXPECT_EQ(result.met, Met::kYes);
  EXPECT_EQ(result.limit_ns, 10);
  EXPECT_EQ(Summarize(kWork, Measure::kTime, AtMost(9, Quantity::kCpu), rounds).met, Met::kNo);
}

TEST(Summarize, BoundsCountsByNoneAtAll) {
  const auto met = [](const Usage& used) {
    return Summarize(kWork, Measure::kTime, AtMost(0, Quantity::kPageFaults),
                     {{{kWork, BlockThatUsed(used, 10)}}});
  };
  EXPECT_EQ(met({.page_faults = 0}).met, Met::kYes);
  EXPECT_EQ(met({.page_faults = 1}).met, Met::kNo);
  EXPECT_FALSE(met({.page_faults = 1}).limit_ns);
}

TEST(Summarize, LeavesATargetOpenWhereItsQuantityWasNotCounted) {
  const Result result = Summarize(kWork, Measure::kTime, AtMost(0, Quantity::kCopiedWords),
                                  {{{kWork, BlockThatUsed(Usage(), 10)}}});
  EXPECT_EQ(result.met, Met::kNone);
}

TEST(Summarize, DividesWhatWasUsedByAllOperations) {
  Block block = BlockOf(100);
  block.samples.operations = 10;
  block.samples.used = Usage{.allocations = 20, .sleeps = 5, .cpu = 1000 * kNanosecond};
  const Result result = TimesOf({{{kWork, block}}, {{kWork, block}}});
  EXPECT_EQ(result.allocations, 2);
  EXPECT_EQ(result.sleeps, 0.5);
  EXPECT_EQ(result.cpu_ns, 100);
  EXPECT_FALSE(result.system_calls);
}

TEST(Summarize, HasTheRatesOfAStream) {
  const Result result = Summarize(kWork, Measure::kStream, std::nullopt, {{{kWork, BlockOf(50)}}});
  EXPECT_EQ(result.messages_per_second, 2e7);
  EXPECT_EQ(result.gigabytes_per_second, 2);
}

TEST(Summarize, HasTheMedianOfMemory) {
  Block block = BlockOf(1);
  block.samples = {.memory_bytes = 4096};
  const Result result = Summarize(kWork, Measure::kMemory, std::nullopt, {{{kWork, block}}});
  EXPECT_EQ(result.memory_bytes, 4096);
  EXPECT_EQ(result.samples, 0u);
}

}  // namespace
}  // namespace shoal
