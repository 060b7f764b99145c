// A peer that dies, or ends, while this side never sleeps: it shows all the same, as what it is.

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/peer_process.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

using testing::HasSubstr;

constexpr int kThousand = 1000;

// How many times `fails` is called until it returns true; one more than `most` if it never does.
template <typename Fails>
int CallsUntil(Fails fails, int most = kThousand) {
  int calls = 1;
  while (!fails() && calls <= most) {
    ++calls;
  }
  return calls;
}

ChannelOptions LargeRing(WhenFull when_full) {
  ChannelOptions options;
  options.slots = ChannelOptions::kMaxSlots;
  options.when_full = when_full;
  return options;
}

TEST(ChannelDeath, ShowsToALoopOfTryReceive) {
  PeerProcess peer("hold");
  EXPECT_FALSE(peer.channel->TryReceive()->has_value());
  peer.process.Kill();
  absl::Status status;
  EXPECT_LE(CallsUntil([&] {
              status = peer.channel->TryReceive().status();
              return !status.ok();
            }),
            kThousand);
  EXPECT_THAT(Text(status), HasSubstr("process died"));
}

TEST(ChannelDeath, ShowsToALoopOfTryReceiveWithPauses) {
  PeerProcess peer("hold");
  const auto receive_and_pause = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return !peer.channel->TryReceive().ok();
  };
  CallsUntil(receive_and_pause, 5);
  peer.process.Kill();
  EXPECT_LE(CallsUntil(receive_and_pause), 20) << "a tenth of a second";
}

TEST(ChannelDeath, ShowsToALoopOfReadable) {
  PeerProcess peer("hold");
  EXPECT_FALSE(peer.channel->Readable());
  peer.process.Kill();
  EXPECT_LE(CallsUntil([&] { return peer.channel->Readable(); }), kThousand);
  EXPECT_TRUE(absl::IsUnavailable(peer.channel->TryReceive().status()));
}

TEST(ChannelDeath, ShowsToALoopOfHungUp) {
  PeerProcess peer("hold");
  EXPECT_FALSE(peer.channel->hung_up());
  peer.process.Kill();
  const absl::Time lost = absl::Now() + absl::Seconds(20);
  while (!peer.channel->hung_up() && absl::Now() < lost) {
    OutgoingMessage claimed = peer.channel->Claim();
  }
  EXPECT_TRUE(peer.channel->hung_up());
}

TEST(ChannelDeath, ShowsToALoopOfNotify) {
  PeerProcess peer("hold");
  EXPECT_TRUE(peer.channel->Notify().ok());
  peer.process.Kill();
  EXPECT_LE(CallsUntil([&] { return !peer.channel->Notify().ok(); }), kThousand);
}

TEST(ChannelDeath, DeliversWhatThePeerPublishedBefore) {
  PeerProcess peer("publish");
  EXPECT_EQ(peer.process.ReadLine(), "published");
  peer.process.Kill();
  const absl::Time lost = absl::Now() + absl::Seconds(20);
  while (!peer.channel->hung_up() && absl::Now() < lost) {
  }
  int received = 0;
  while (peer.channel->TryReceive().ok()) {
    ++received;
  }
  EXPECT_EQ(received, 100);
}

class PublisherOnly : public testing::TestWithParam<WhenFull> {
 protected:
  // Publishes until that fails, `pause` after each message.
  static absl::Status Failure(Channel& channel, int most, std::chrono::milliseconds pause) {
    absl::Status status;
    EXPECT_LE(CallsUntil(
                  [&] {
                    std::this_thread::sleep_for(pause);
                    status = Send(channel, 7);
                    return !status.ok();
                  },
                  most),
              most);
    return status;
  }
};

TEST_P(PublisherOnly, SeesADeathWithinAThousandMessages) {
  PeerProcess peer("hold", LargeRing(GetParam()));
  for (int i = 0; i < 5000; ++i) {  // fast, so that the clock is read seldom
    ASSERT_TRUE(Send(*peer.channel, 7).ok());
  }
  peer.process.Kill();
  const absl::Status status = Failure(*peer.channel, kThousand, std::chrono::milliseconds(0));
  EXPECT_THAT(Text(status), HasSubstr("process died"));
}

TEST_P(PublisherOnly, SeesADeathSoonWhenItComesSeldom) {
  PeerProcess peer("hold", LargeRing(GetParam()));
  ASSERT_TRUE(Send(*peer.channel, 7).ok());
  EXPECT_EQ(peer.process.ReadLine(), "held");
  peer.process.Kill();
  const absl::Status status = Failure(*peer.channel, 40, std::chrono::milliseconds(2));
  EXPECT_THAT(Text(status), HasSubstr("process died"));
}

TEST_P(PublisherOnly, SeesADeathWhileTheRingIsFull) {
  ChannelOptions options;
  options.slots = ChannelOptions::kMinSlots;
  options.when_full = GetParam();
  PeerProcess peer("publish", options);  // it reads nothing
  EXPECT_EQ(peer.process.ReadLine(), "published");
  for (uint32_t i = 0; i < ChannelOptions::kMinSlots; ++i) {
    ASSERT_TRUE(Send(*peer.channel, i).ok());
  }
  peer.process.Kill();
  const absl::Status status = Failure(*peer.channel, kThousand, std::chrono::milliseconds(0));
  EXPECT_THAT(Text(status), HasSubstr("process died"));
}

TEST_P(PublisherOnly, IsToldAnEndFromADeath) {
  for (const std::string how : {"return", "end"}) {
    PeerProcess peer(how, LargeRing(GetParam()));
    ASSERT_TRUE(Send(*peer.channel, 7).ok());
    EXPECT_EQ(peer.process.Wait(), 0);
    const absl::Status status = Failure(*peer.channel, kThousand, std::chrono::milliseconds(0));
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(Text(status), HasSubstr("closed the channel")) << how;
    EXPECT_TRUE(peer.channel->ended_by_peer());
    EXPECT_THAT(Text(peer.channel->Notify()), HasSubstr("closed the channel"));
    EXPECT_THAT(Text(peer.channel->TryReceive().status()), HasSubstr("closed the channel"));
    EXPECT_TRUE(peer.channel->ended_by_peer());
  }
}

TEST_P(PublisherOnly, IsToldOfADeathByAnExitPastDestructors) {
  PeerProcess peer("_exit", LargeRing(GetParam()));
  ASSERT_TRUE(Send(*peer.channel, 7).ok());
  EXPECT_EQ(peer.process.Wait(), 0);
  const absl::Status status = Failure(*peer.channel, kThousand, std::chrono::milliseconds(0));
  EXPECT_THAT(Text(status), HasSubstr("process died"));
  EXPECT_FALSE(peer.channel->ended_by_peer());
}

INSTANTIATE_TEST_SUITE_P(WhenFull, PublisherOnly,
                         testing::Values(WhenFull::kBlock, WhenFull::kFail, WhenFull::kSpill),
                         [](const auto& info) {
                           return info.param == WhenFull::kBlock  ? "Blocks"
                                  : info.param == WhenFull::kFail ? "Fails"
                                                                  : "Spills";
                         });

}  // namespace
}  // namespace shoal
