// Waiting for many channels at once.

#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

// So many pairs; the right ends are waited for.
struct Pairs {
  explicit Pairs(size_t count, const ChannelOptions& options = {}) {
    for (size_t i = 0; i < count; ++i) {
      pairs.emplace_back(options);
      right.push_back(pairs.back().right.get());
    }
  }

  Channel& left(size_t i) { return *pairs[i].left; }

  std::vector<Pair> pairs;
  std::vector<Channel*> right;
};

ChannelOptions Small() {
  ChannelOptions options = Smallest();
  options.spin = absl::ZeroDuration();
  return options;
}

TEST(WaitAny, ReturnsTheOneThatHasAMessage) {
  Pairs pairs(3);
  ASSERT_TRUE(Send(pairs.left(2), 1).ok());
  EXPECT_EQ(*WaitAny(pairs.right), 2);
  ExpectNext(*pairs.right[2], 1);
}

TEST(WaitAny, LooksFromTheFirstOneAskedForAndGoesRound) {
  Pairs pairs(3);
  ASSERT_TRUE(Send(pairs.left(0), 1).ok());
  ASSERT_TRUE(Send(pairs.left(2), 1).ok());
  EXPECT_EQ(*WaitAny(pairs.right, absl::InfiniteDuration(), 0), 0);
  EXPECT_EQ(*WaitAny(pairs.right, absl::InfiniteDuration(), 1), 2);
  EXPECT_EQ(*WaitAny(pairs.right, absl::InfiniteDuration(), 3), 0);
}

TEST(WaitAny, LooksAtEachHoweverLargeTheFirstOneIs) {
  Pairs pairs(3);
  ASSERT_TRUE(Send(pairs.left(2), 1).ok());
  const absl::StatusOr<size_t> ready = WaitAny(pairs.right, absl::ZeroDuration(), SIZE_MAX);
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(*ready, 2);
}

TEST(WaitAny, GivesUpAtTheDeadlineAndNotBefore) {
  Pairs pairs(2);
  EXPECT_TRUE(absl::IsDeadlineExceeded(WaitAny(pairs.right, absl::ZeroDuration()).status()));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(WaitAny(pairs.right, absl::Milliseconds(20)).status()));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(20));
}

TEST(WaitAny, RefusesToWaitForNothing) {
  EXPECT_TRUE(absl::IsInvalidArgument(WaitAny({}).status()));
}

TEST(WaitAny, IsWokenFromAWaitOfFiftyDays) {
  Pairs pairs(100, Small());
  std::thread sender([&] {
    for (uint64_t i = 0; i < 500; ++i) {
      ASSERT_TRUE(Send(pairs.left(i * 37 % 100), i).ok());
    }
  });
  size_t next = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    const absl::StatusOr<size_t> ready = WaitAny(pairs.right, absl::Hours(24 * 50), next);
    ASSERT_TRUE(ready.ok()) << ready.status();
    ASSERT_TRUE(pairs.right[*ready]->Receive().ok());
    next = *ready + 1;
  }
  sender.join();
}

TEST(WaitAny, IsWokenByANotice) {
  Pairs pairs(3, Small());
  for (int i = 0; i < 200; ++i) {
    std::thread notifier([&] { ASSERT_TRUE(pairs.left(1).Notify().ok()); });
    EXPECT_EQ(*WaitAny(pairs.right), 1);
    EXPECT_TRUE(pairs.right[1]->TakeNotice());
    notifier.join();
  }
}

TEST(WaitAny, IsWokenByAPeersEnd) {
  Pairs pairs(3, Small());
  std::thread leaver([&] { pairs.pairs[1].left.reset(); });
  EXPECT_EQ(*WaitAny(pairs.right), 1);
  EXPECT_TRUE(absl::IsUnavailable(pairs.right[1]->Receive().status()));
  leaver.join();
}

TEST(WaitAny, DeliversWhatIsPendingMeanwhile) {
  ChannelOptions options = Small();
  options.when_full = WhenFull::kSpill;
  Pairs pairs(3, options);
  constexpr uint64_t kCount = 200;
  for (uint64_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(Send(*pairs.right[1], i).ok());
  }
  ASSERT_GT(pairs.right[1]->pending_messages(), 0);
  std::thread peer([&] {
    for (uint64_t i = 0; i < kCount; ++i) {
      ExpectNext(pairs.left(1), i);
    }
    ASSERT_TRUE(Send(pairs.left(1), 1).ok());
  });
  EXPECT_EQ(*WaitAny(pairs.right), 1);
  peer.join();
}

TEST(WaitAny, DeliversAnEndThatFoundNoRoom) {
  Pairs pairs(3, Small());
  uint64_t published = 0;
  while (pairs.right[1]->Publish(Numbered(*pairs.right[1], published), absl::ZeroDuration()).ok()) {
    ++published;
  }
  pairs.right[1]->End();
  std::thread peer([&] {
    for (uint64_t i = 0; i < published; ++i) {
      ExpectNext(pairs.left(1), i);
    }
    EXPECT_TRUE(absl::IsUnavailable(pairs.left(1).Receive(absl::Seconds(10)).status()));
    EXPECT_TRUE(Send(pairs.left(1), 1).ok());
  });
  EXPECT_EQ(*WaitAny(pairs.right), 1);
  peer.join();
}

TEST(WaitAny, DeliversWhatIsPendingWhileItSpins) {
  ChannelOptions options = SmallestThat(WhenFull::kSpill);
  options.spin = absl::InfiniteDuration();
  Pairs pairs(3, options);
  constexpr uint64_t kCount = 200;
  for (uint64_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(Send(*pairs.right[1], i).ok());
  }
  uint64_t came = 0;
  std::thread peer([&] {
    while (came < kCount && pairs.left(1).Receive(absl::Seconds(10)).ok()) {
      ++came;
    }
    EXPECT_TRUE(Send(pairs.left(1), 1).ok());
  });
  EXPECT_EQ(*WaitAny(pairs.right), 1);
  peer.join();
  EXPECT_EQ(came, kCount);
}

}  // namespace
}  // namespace shoal
