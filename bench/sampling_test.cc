#include "shoal/bench/sampling.h"

#include "gtest/gtest.h"

namespace shoal {
namespace {

absl::StatusOr<Usage> NoUsage() { return Usage(); }

// A batch of two operations that each return `outcome`.
auto BatchOfTwo(absl::Status outcome) {
  return [outcome](Samples& samples) {
    const auto operate = [&](uint64_t) { return outcome; };
    absl::Status taken = TakeSample(operate, {absl::ZeroDuration()}, samples);
    return taken.ok() ? TakeSample(operate, {absl::ZeroDuration()}, samples) : taken;
  };
}

TEST(TakeBatches, TakesOneBatchWhereThereIsNoTime) {
  const auto samples = TakeBatches({absl::ZeroDuration()}, BatchOfTwo(absl::OkStatus()), NoUsage);
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(samples->times.size(), 2u);
  EXPECT_EQ(samples->operations, 2u);
}

TEST(TakeBatches, TakesBatchesUntilTheTimeIsUp) {
  const auto begin = absl::Now();
  const auto samples = TakeBatches({absl::Milliseconds(5)}, BatchOfTwo(absl::OkStatus()), NoUsage);
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(5));
  ASSERT_TRUE(samples.ok());
  EXPECT_GT(samples->times.size(), 2u);
}

TEST(TakeBatches, HasTheUsageOfTheBatchesThatAreNotToWarmUp) {
  uint64_t operations = 0;
  const auto batch = [&](Samples&) {
    ++operations;
    return absl::OkStatus();
  };
  const auto usage = [&] { return absl::StatusOr<Usage>(Usage{.sleeps = operations}); };
  const auto samples = TakeBatches({absl::ZeroDuration()}, batch, usage);
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(operations, 2u);
  EXPECT_EQ(samples->used->sleeps, 1u);
}

TEST(TakeBatches, EndsWithTheFirstOperationThatFails) {
  const auto samples =
      TakeBatches({absl::InfiniteDuration()}, BatchOfTwo(absl::DataLossError("wrong")), NoUsage);
  EXPECT_EQ(samples.status().message(), "wrong");
}

TEST(TakeSample, TimesAnOperationAndNotTheIdlenessBeforeIt) {
  Samples samples;
  const auto begin = absl::Now();
  absl::Time operated;
  const auto operate = [&](uint64_t) {
    operated = absl::Now();
    return absl::OkStatus();
  };
  const SampleBudget budget = {.time = absl::ZeroDuration(), .idle = absl::Milliseconds(1)};
  ASSERT_TRUE(TakeSample(operate, budget, samples).ok());
  EXPECT_GE(operated - begin, budget.idle);
  EXPECT_EQ(samples.times.size(), 1u);
}

TEST(TakeSample, NumbersTheOperations) {
  Samples samples;
  uint64_t last = 0;
  const auto operate = [&](uint64_t sequence) {
    last = sequence;
    return absl::OkStatus();
  };
  ASSERT_TRUE(TakeSample(operate, {absl::ZeroDuration()}, samples).ok());
  ASSERT_TRUE(TakeSample(operate, {absl::ZeroDuration()}, samples).ok());
  EXPECT_EQ(last, 1u);
}

}  // namespace
}  // namespace shoal
