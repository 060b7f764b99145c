// The shapes that the transport's orders rest on, run on the processor at hand: what each order
// forbids is never seen, and what it allows is counted. The models beside this file say what would
// happen to the protocol otherwise.

#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace shoal {
namespace {

using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

constexpr uint64_t kMostRounds = 4'000'000;
constexpr auto kLongest = std::chrono::seconds(1);
constexpr size_t kRoundsAtOnce = 100;  // prepared and judged

// Two words on cache lines of their own, and what each of two threads loaded in a round.
struct Round {
  alignas(128) std::atomic<uint32_t> x = 0;
  alignas(128) std::atomic<uint32_t> y = 0;
  alignas(128) uint32_t left = 0;
  alignas(128) uint32_t right = 0;
};

// Where two threads meet: each goes on when the other has come as often.
class Meeting {
 public:
  void Come(size_t side) {
    const uint64_t times = came_[side].value.load(memory_order_relaxed) + 1;
    // seq_cst, and acquire in the loop: what each did before is seen by the other.
    came_[side].value.store(times, memory_order_seq_cst);
    for (int looks = 0; came_[1 - side].value.load(memory_order_acquire) < times; ++looks) {
      if (looks > 1000) {
        sched_yield();  // both may be on one CPU
      }
    }
  }

 private:
  struct alignas(128) Count {
    std::atomic<uint64_t> value = 0;
  };
  std::array<Count, 2> came_;
};

// A CPU of its own for the calling thread, where this process may run on several.
void TakeCpu(size_t side) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2) {
    return;
  }
  size_t seen = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && seen++ == side) {
      cpu_set_t own;
      CPU_ZERO(&own);
      CPU_SET(cpu, &own);
      pthread_setaffinity_np(pthread_self(), sizeof(own), &own);
    }
  }
}

struct Outcomes {
  uint64_t rounds = 0;
  uint64_t counted = 0;
  uint64_t complete = 0;
};

// Whatever the orders: in the end the stores have arrived, and no load saw what nobody stored.
bool IsComplete(const Round& round) {
  return round.x.load(memory_order_relaxed) == 1 && round.y.load(memory_order_relaxed) == 1 &&
         round.left <= 1 && round.right <= 1;
}

// Runs `left` and `right` at the same time, over and over, and counts the rounds that `counts`.
template <typename Left, typename Right, typename Counts>
Outcomes Run(Left left, Right right, Counts counts) {
  std::vector<Round> rounds(kRoundsAtOnce);
  Meeting meeting;
  std::atomic<bool> over = false;
  std::thread other([&] {
    TakeCpu(1);
    while (true) {
      meeting.Come(1);
      if (over.load(memory_order_relaxed)) {
        return;
      }
      for (Round& round : rounds) {
        meeting.Come(1);
        right(round);
      }
      meeting.Come(1);
    }
  });
  Outcomes outcomes;
  const auto begin = std::chrono::steady_clock::now();
  std::thread judge([&] {
    TakeCpu(0);
    do {
      for (Round& round : rounds) {
        round.x.store(0, memory_order_relaxed);
        round.y.store(0, memory_order_relaxed);
      }
      meeting.Come(0);
      for (Round& round : rounds) {
        meeting.Come(0);
        left(round);
      }
      meeting.Come(0);
      outcomes.rounds += rounds.size();
      for (const Round& round : rounds) {
        outcomes.counted += counts(round) ? 1 : 0;
        outcomes.complete += IsComplete(round) ? 1 : 0;
      }
    } while (outcomes.rounds < kMostRounds && std::chrono::steady_clock::now() - begin < kLongest);
    over.store(true, memory_order_relaxed);
    meeting.Come(0);
  });
  judge.join();
  other.join();
  testing::Test::RecordProperty("rounds", std::to_string(outcomes.rounds));
  testing::Test::RecordProperty("counted", std::to_string(outcomes.counted));
  std::cout << outcomes.counted << " of " << outcomes.rounds << " rounds\n";
  return outcomes;
}

void ExpectCompleteRounds(const Outcomes& outcomes) {
  EXPECT_GT(outcomes.rounds, 0);
  EXPECT_EQ(outcomes.complete, outcomes.rounds);
}

// Store buffering: a publish against a raised flag, `consumed` against `starved`.
template <std::memory_order kStore, std::memory_order kLoad>
Outcomes StoreBuffering() {
  return Run(
      [](Round& round) {
        round.x.store(1, kStore);
        round.left = round.y.load(kLoad);
      },
      [](Round& round) {
        round.y.store(1, kStore);
        round.right = round.x.load(kLoad);
      },
      [](const Round& round) { return round.left == 0 && round.right == 0; });
}

TEST(StoreBuffering, LetsNoSeqCstPairMissEachOther) {
  const Outcomes missed = StoreBuffering<memory_order_seq_cst, memory_order_seq_cst>();
  ExpectCompleteRounds(missed);
  EXPECT_EQ(missed.counted, 0);
}

TEST(StoreBuffering, CountsTheReleasePairsThatMissEachOther) {
  // Allowed, and common on x86: a weakened publish loses wake-ups. How many is the processor's.
  const Outcomes missed = StoreBuffering<memory_order_release, memory_order_acquire>();
  ExpectCompleteRounds(missed);
}

TEST(StoreBuffering, CountsTheRelaxedPairsThatMissEachOther) {
  const Outcomes missed = StoreBuffering<memory_order_relaxed, memory_order_relaxed>();
  ExpectCompleteRounds(missed);
}

// Message passing: a payload and its header.
template <std::memory_order kStore, std::memory_order kLoad>
Outcomes MessagePassing() {
  return Run(
      [](Round& round) {
        round.x.store(1, memory_order_relaxed);
        round.y.store(1, kStore);
      },
      [](Round& round) {
        round.left = round.y.load(kLoad);
        round.right = round.x.load(memory_order_relaxed);
      },
      [](const Round& round) { return round.left == 1 && round.right == 0; });
}

TEST(MessagePassing, ShowsNoPublishedHeaderAheadOfItsPayload) {
  const Outcomes torn = MessagePassing<memory_order_seq_cst, memory_order_seq_cst>();
  ExpectCompleteRounds(torn);
  EXPECT_EQ(torn.counted, 0);
}

TEST(MessagePassing, CountsTheRelaxedHeadersAheadOfTheirPayload) {
  // Allowed by the language; x86 never shows it.
  const Outcomes torn = MessagePassing<memory_order_relaxed, memory_order_relaxed>();
  ExpectCompleteRounds(torn);
#if defined(__x86_64__)
  EXPECT_EQ(torn.counted, 0);
#endif
}

// Load buffering: the last read of a block and its receipt, against the receipt and the next write.
template <std::memory_order kStore, std::memory_order kLoad>
Outcomes LoadBuffering() {
  return Run(
      [](Round& round) {
        round.left = round.x.load(memory_order_relaxed);
        round.y.store(1, kStore);
      },
      [](Round& round) {
        round.right = round.y.load(kLoad);
        round.x.store(1, memory_order_relaxed);
      },
      [](const Round& round) { return round.left == 1 && round.right == 1; });
}

TEST(LoadBuffering, LetsNoBlockBeWrittenBeforeItsLastRead) {
  const Outcomes reused = LoadBuffering<memory_order_release, memory_order_acquire>();
  ExpectCompleteRounds(reused);
  EXPECT_EQ(reused.counted, 0);
}

}  // namespace
}  // namespace shoal
