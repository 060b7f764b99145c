#include "shoal/tests/faults/sum.h"

#include "gtest/gtest.h"

namespace shoal::faults {
namespace {

Outcome SeenAfter(absl::Duration seen) {
  Outcome outcome;
  outcome.seen = seen;
  outcome.dying = seen / 2;
  outcome.longest_wait = seen * 3;
  outcome.delivered = 5;
  outcome.delivered_late = 2;
  outcome.delivered_bytes = 500;
  outcome.delivered_back = 7;
  outcome.delivered_back_bytes = 700;
  outcome.stops = 1;
  return outcome;
}

TEST(Sum, KeepsTheLongestTimesAndAddsTheRest) {
  Sum sum;
  sum.Add(Role::kServer, SeenAfter(absl::Milliseconds(20)), false);
  sum.Add(Role::kClient, SeenAfter(absl::Milliseconds(101)), true);
  EXPECT_EQ(sum.kills_of_clients, 1);
  EXPECT_EQ(sum.kills_of_servers, 1);
  EXPECT_EQ(sum.messages, 10);
  EXPECT_EQ(sum.bytes_back, 1400);
  EXPECT_EQ(sum.deaths_seen, 2);
  EXPECT_EQ(sum.deaths_seen_late, 1);
  EXPECT_EQ(sum.longest_seen, absl::Milliseconds(101));
  EXPECT_EQ(sum.longest_wait, absl::Milliseconds(303));
  EXPECT_EQ(sum.leaks, 1);
  EXPECT_FALSE(sum.all_well());
}

TEST(Sum, IsNotWellAfterAFailure) {
  Outcome outcome;
  outcome.Expect(false, "lost");
  Sum sum;
  EXPECT_TRUE(sum.all_well());
  sum.Add(Role::kServer, outcome, false);
  EXPECT_FALSE(sum.all_well());
}

TEST(Sum, IsNotWellWithAHeapThatGrewTooFar) {
  Sum sum;
  sum.heap_growth = kHeapMayGrow;
  EXPECT_TRUE(sum.all_well());
  ++sum.heap_growth;
  EXPECT_FALSE(sum.all_well());
}

TEST(Sum, IsTheSameAfterItsLine) {
  Sum sum;
  sum.Add(Role::kServer, SeenAfter(absl::Nanoseconds(20'000'001)), false);
  sum.Add(Role::kClient, SeenAfter(absl::Milliseconds(101)), true);
  sum.heap_growth = -7;
  const std::optional<Sum> read = FromLine(ToLine(sum));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(ToLine(*read), ToLine(sum));
  EXPECT_EQ(read->kills_of_servers, 1);
  EXPECT_EQ(read->messages_late, 4);
  EXPECT_EQ(read->leaks, 1);
  EXPECT_EQ(read->heap_growth, -7);
  EXPECT_EQ(read->longest_seen, absl::Milliseconds(101));
  EXPECT_EQ(read->longest_wait, absl::Milliseconds(303));
}

TEST(Sum, OfNoDeathHasNoTimeAfterItsLineEither) {
  const std::optional<Sum> read = FromLine(ToLine(Sum()));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->longest_seen, std::nullopt);
}

TEST(Sum, IsNotReadFromOtherLines) {
  EXPECT_EQ(FromLine(""), std::nullopt);
  EXPECT_EQ(FromLine("seed 1"), std::nullopt);
  EXPECT_EQ(FromLine("sum: 1 2 3"), std::nullopt);
}

}  // namespace
}  // namespace shoal::faults
