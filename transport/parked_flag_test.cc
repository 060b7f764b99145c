#include "shoal/transport/parked_flag.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <stop_token>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/spin_budget.h"
#include "shoal/transport/test_doorbell.h"

namespace shoal {
namespace {

// A flag and both its sides.
struct Flag {
  std::atomic<uint64_t> word = 0;
  ParkedFlag owner{&word};
  RingOnce peer{&word};
};

TEST(ParkedFlag, AsksForNoRingWhileItsOwnerIsAwake) {
  Flag flag;
  EXPECT_FALSE(flag.peer.MustRing());
  flag.owner.Raise();
  flag.owner.Lower();
  EXPECT_FALSE(flag.peer.MustRing());
}

TEST(ParkedFlag, AsksForOneRingASleep) {
  Flag flag;
  flag.owner.Raise();
  EXPECT_TRUE(flag.peer.MustRing());
  EXPECT_FALSE(flag.peer.MustRing());
  EXPECT_FALSE(flag.peer.MustRing());
}

TEST(ParkedFlag, AsksAgainInTheNextSleep) {
  Flag flag;
  flag.owner.Raise();
  EXPECT_TRUE(flag.peer.MustRing());
  flag.owner.Lower();
  flag.owner.Raise();
  EXPECT_TRUE(flag.peer.MustRing());
  EXPECT_FALSE(flag.peer.MustRing());
}

// An interrupted sleep is followed by another, for which no publish may have come in between.
TEST(ParkedFlag, AsksAgainWhenItIsRaisedTwice) {
  Flag flag;
  flag.owner.Raise();
  EXPECT_TRUE(flag.peer.MustRing());
  flag.owner.Raise();
  EXPECT_TRUE(flag.peer.MustRing());
}

TEST(ParkedFlag, CountsItsSleeps) {
  Flag flag;
  EXPECT_EQ(flag.owner.sleeps(), 0u);
  flag.owner.Raise();
  flag.owner.Lower();
  flag.owner.Raise();
  EXPECT_EQ(flag.owner.sleeps(), 2u);
}

TEST(RingOnce, ObeysAnyValueThatThePeerWrites) {
  Flag flag;
  flag.word = UINT64_MAX;
  EXPECT_TRUE(flag.peer.MustRing());
  EXPECT_FALSE(flag.peer.MustRing());
  flag.word = 1;  // back in time
  EXPECT_TRUE(flag.peer.MustRing());
}

TEST(RingOnce, LetsOneOfTwoThreadsRing) {
  constexpr uint64_t kMostSleeps = 100'000;
  Flag flag;
  std::atomic<uint64_t> sleeps = 0;  // that the other thread may look at
  std::atomic<uint64_t> looked = 0;  // sleeps that it has looked at
  std::atomic<uint64_t> rings = 0;   // of both threads
  std::jthread other([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (!SpinUntil(std::chrono::microseconds(5), [&] { return sleeps > looked; })) {
        std::this_thread::yield();
        continue;
      }
      rings += flag.peer.MustRing();
      ++looked;
    }
  });
  const Deadline enough = Deadline::After(absl::Seconds(2));
  for (uint64_t sleep = 1; sleep <= kMostSleeps && !enough.passed(); ++sleep) {
    const Deadline lost = Deadline::After(absl::Seconds(20));
    flag.owner.Raise();
    ++sleeps;
    rings += flag.peer.MustRing();
    while (looked < sleep) {
      ASSERT_FALSE(lost.passed());
      std::this_thread::yield();
    }
    ASSERT_EQ(rings, sleep) << "rings in so many sleeps";
    flag.owner.Lower();
  }
}

// The protocol of the header's drawing, between two threads as between two processes: one publishes
// numbers, the other parks for each. The publisher waits for the answer awake, so a wake-up that
// gets lost stays lost, and the sleeper's deadline shows it.
struct Protocol {
  static constexpr uint64_t kRounds = 20'000;

  std::atomic<uint64_t> published = 0;
  std::atomic<uint64_t> answered = 0;
  uint64_t rings = 0;  // the publisher's

  Flag flag;
  Connection bells;  // here is the sleeper, there the publisher
};

void PublishEach(const std::stop_token& stop, Protocol& protocol) {
  std::minstd_rand random;
  for (uint64_t round = 1; round <= Protocol::kRounds; ++round) {
    // So that publishes fall everywhere between the sleeper's look and its sleep.
    for (uint64_t pause = random() % 64; pause > 0; --pause) {
      protocol.published.load(std::memory_order_relaxed);
    }
    protocol.published.store(round, std::memory_order_seq_cst);
    if (protocol.flag.peer.MustRing()) {
      protocol.bells.there.Ring();
      ++protocol.rings;
    }
    while (protocol.answered.load(std::memory_order_acquire) < round) {
      if (stop.stop_requested()) {
        return;
      }
      CpuRelax();
    }
  }
}

TEST(ParkedFlag, LosesNoWakeUp) {
  Protocol protocol;
  std::jthread publisher([&](const std::stop_token& stop) { PublishEach(stop, protocol); });
  for (uint64_t round = 1; round <= Protocol::kRounds; ++round) {
    const auto came = [&] { return protocol.published.load(std::memory_order_seq_cst) >= round; };
    const Deadline lost = Deadline::After(absl::Seconds(20));
    while (!came()) {
      const uint64_t rings = protocol.bells.here.rings();
      protocol.flag.owner.Raise();
      if (!came()) {
        protocol.bells.here.Sleep(rings, lost);
      }
      protocol.flag.owner.Lower();
      ASSERT_FALSE(lost.passed()) << "slept through publish " << round;
    }
    protocol.answered.store(round, std::memory_order_release);
  }
  publisher.join();
  EXPECT_GT(protocol.flag.owner.sleeps(), 0u);
  EXPECT_LE(protocol.rings, protocol.flag.owner.sleeps());
}

}  // namespace
}  // namespace shoal
