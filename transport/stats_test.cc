#include "shoal/transport/stats.h"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

TEST(ChannelStats, CountMessagesBytesAndSegmentsOnBothSides) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1).ok());
  const ChannelStats small = pair.left->stats();
  EXPECT_EQ(small.messages_sent, 1);
  EXPECT_EQ(small.segments_sent, 1);
  EXPECT_GE(small.bytes_sent, 16);
  ASSERT_TRUE(Send(*pair.left, 2, 10000).ok());
  ExpectNext(*pair.right, 1);
  ExpectNext(*pair.right, 2, 10000);
  const ChannelStats left = pair.left->stats();
  const ChannelStats right = pair.right->stats();
  EXPECT_EQ(left.messages_sent, 2);
  EXPECT_EQ(left.segments_sent, 3) << "the slot's and the block's";
  EXPECT_GE(left.bytes_sent - small.bytes_sent, 10000);
  EXPECT_EQ(right.messages_received, left.messages_sent);
  EXPECT_EQ(right.bytes_received, left.bytes_sent);
  EXPECT_EQ(right.segments_received, left.segments_sent);
  EXPECT_EQ(right.messages_sent, 0);
  EXPECT_EQ(left.messages_received, 0);
}

TEST(ChannelStats, CountClaimsAndTheirHighWater) {
  Pair pair;
  std::vector<OutgoingMessage> claims;
  for (int i = 0; i < 10; ++i) {
    claims.push_back(pair.left->Claim());
  }
  EXPECT_EQ(pair.left->stats().claims, 10);
  claims.clear();
  claims.push_back(pair.left->Claim());
  EXPECT_EQ(pair.left->stats().claims, 1);
  EXPECT_EQ(pair.left->stats().most_claims, 10);
}

TEST(ChannelStats, CountWhatSpills) {
  Pair pair(SmallestThat(WhenFull::kSpill));
  for (uint64_t i = 0; i < ChannelOptions::kMinSlots + 5; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
  }
  EXPECT_EQ(pair.left->stats().spills, 5);
}

TEST(ChannelStats, CountSleepsAndTheRingsThatEndThem) {
  ChannelOptions options;
  options.spin = absl::ZeroDuration();
  Pair pair(options);
  std::thread echo([&] {
    for (uint64_t i = 0; i < 100; ++i) {
      ExpectNext(*pair.right, i);
      ASSERT_TRUE(Send(*pair.right, i).ok());
    }
  });
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
    ExpectNext(*pair.left, i);
  }
  echo.join();
  const ChannelStats left = pair.left->stats();
  const ChannelStats right = pair.right->stats();
  EXPECT_GT(left.parks + right.parks, 0);
  EXPECT_EQ(left.spin_hits, 0);
  EXPECT_GT(left.rings + right.rings, 0);
  EXPECT_LE(left.rings, 100) << "at most one for each message";
  EXPECT_LE(right.rings, 100);
}

TEST(ChannelStats, CountWaitsThatEndWhileSpinning) {
  ChannelOptions options;
  options.spin = absl::InfiniteDuration();
  Pair pair(options);
  std::thread receiver([&] { ExpectNext(*pair.right, 1); });
  while (pair.right->stats().messages_received == 0) {
    if (pair.left->stats().messages_sent == 0) {
      ASSERT_TRUE(Send(*pair.left, 1).ok());
    }
    std::this_thread::yield();
  }
  receiver.join();
  EXPECT_LE(pair.right->stats().spin_hits, 1);
  EXPECT_EQ(pair.right->stats().parks, 0);
}

TEST(ObserveChannels, SeesBothEndsThatThisProcessHas) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1, 10000).ok());
  ExpectNext(*pair.right, 1, 10000);
  const auto seen = ObserveChannels(getpid());
  ASSERT_TRUE(seen.ok()) << seen.status();
  ASSERT_EQ(seen->size(), 2);
  const auto& [one, other] = std::pair((*seen)[0], (*seen)[1]);
  EXPECT_EQ(one.peer_pid, getpid());
  EXPECT_EQ(one.peer_uid, getuid());
  EXPECT_EQ(one.slots, ChannelOptions().slots);
  EXPECT_NE(one.epoch, other.epoch);
  EXPECT_EQ(one.stats.bytes_sent + other.stats.bytes_sent, pair.left->stats().bytes_sent);
  EXPECT_EQ(one.stats.messages_received + other.stats.messages_received, 1);
}

TEST(ObserveChannels, SeesNoneOnceTheyAreGone) {
  { Pair pair; }
  EXPECT_TRUE(ObserveChannels(getpid())->empty());
}

TEST(ObserveChannels, SaysThatThereIsNoSuchProcess) {
  EXPECT_TRUE(absl::IsUnavailable(ObserveChannels(1 << 22).status()));
}

}  // namespace
}  // namespace shoal
