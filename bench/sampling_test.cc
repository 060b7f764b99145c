#include "shoal/bench/sampling.h"

#include <chrono>

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

TEST(TakeBatches, GoesOnUntilTheTimeIsUp) {
  const auto begin = std::chrono::steady_clock::now();
  const auto samples = TakeBatches({absl::Milliseconds(5)}, BatchOfTwo(absl::OkStatus()), NoUsage);
  EXPECT_TRUE(samples.ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(5));
}

TEST(TakeBatches, TakesBatchesWhileThereIsTime) {
  int batches = 0;
  const auto batch = [&](Samples&) {
    return ++batches < 4 ? absl::OkStatus() : absl::DataLossError("enough");
  };
  EXPECT_EQ(TakeBatches({absl::Hours(1)}, batch, NoUsage).status().message(), "enough");
  EXPECT_EQ(batches, 4);
}

TEST(BatchOf, IsTheSmallerTheMoreAnOperationTakes) {
  const SampleBudget budget = {.time = absl::Seconds(1)};
  EXPECT_EQ(BatchOf(16, budget), 1000);
  EXPECT_EQ(BatchOf(65536, budget), 200);
  EXPECT_EQ(BatchOf(uint64_t{64} << 20, budget), 1);
  EXPECT_EQ(BatchOf(16, {.time = absl::Seconds(1), .idle = absl::Milliseconds(1)}), 10);
  EXPECT_EQ(BatchOf(16, {.time = absl::ZeroDuration()}), 1);
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
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point operated;
  const auto operate = [&](uint64_t) {
    operated = std::chrono::steady_clock::now();
    return absl::OkStatus();
  };
  const SampleBudget budget = {.time = absl::ZeroDuration(), .idle = absl::Milliseconds(1)};
  ASSERT_TRUE(TakeSample(operate, budget, samples).ok());
  EXPECT_GE(absl::FromChrono(operated - begin), budget.idle);
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
