// What one end of a channel shows to its owner and, read-only, to any process with the right.
#pragma once

#include <atomic>
#include <cstdint>

namespace shoal {

// One writer at a time, any number of readers. relaxed throughout: a figure orders nothing.
class Counter {
 public:
  void Add(uint64_t more) { Set(value() + more); }
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  void RaiseTo(uint64_t value) {
    if (value > this->value()) {
      Set(value);
    }
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_;
};
static_assert(sizeof(Counter) == 8);

// How the waits of one thread went.
struct WaitCounters {
  Counter spin_hits;       // ended while spinning
  Counter parks;           // sleeps
  Counter spurious_wakes;  // sleeps that ended without what was waited for
};

// Counted by the publishing thread.
struct alignas(128) WriterCounters {
  Counter messages;
  Counter bytes;
  Counter segments;
  Counter copied_words;
  Counter claims;  // begun, and neither published and let go nor dropped
  Counter most_claims;
  Counter spills;
  Counter rings;  // wake-ups for what was published
  WaitCounters waits;
  Counter claimed_blocks;
  Counter lent_blocks;
  Counter slabs;
  Counter slabs_bytes;
  Counter huge_page_bytes;
};
static_assert(sizeof(WriterCounters) == 128);

// Counted by the receiving thread.
struct alignas(128) ReaderCounters {
  Counter messages;
  Counter bytes;
  Counter segments;
  Counter copied_words;
  Counter rings;  // wake-ups for room that was given back
  WaitCounters waits;
};
static_assert(sizeof(ReaderCounters) == 128);

// A region of its own. Its owner keeps the descriptor, through which others see it in /proc; the
// regions with messages have none. The peer does not map it.
struct CounterPage {
  // "SHOAL:CT" in memory.
  static constexpr uint64_t kMagic = 0x54433a4c414f4853;

  struct alignas(128) Header {
    uint64_t magic;
    uint32_t version;  // kProtocolVersion
    uint32_t pid;
    uint64_t epoch;  // of the owner's outbox
    uint32_t slots;
    uint32_t receipts;
    uint32_t peer_pid;  // 0 if the owner cannot see it
    uint32_t peer_uid;
  };

  Header header;
  WriterCounters written;
  ReaderCounters read;
};
static_assert(sizeof(CounterPage) == 384);

}  // namespace shoal
