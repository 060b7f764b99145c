// "Ring me when you ...": how a sleeper asks for one wake-up.
#pragma once

#include <atomic>
#include <cstdint>

namespace shoal {

// The flag lies in the sleeper's outbox. It is 0 while its owner is awake, and the number of the
// sleep while it sleeps, new each time, so that a peer rings once a sleep and not at every message.
//
// A sleep cannot be missed, because four accesses are sequentially consistent (Dekker's pattern):
//
//     sleeper:  flag.Raise()          store flag        peer:  publish    store slot header
//               look once more        load slot header         MustRing   load flag
//
// In the one order of all four, either the sleeper's look comes after the publish and sees it, or
// the peer's load comes after the raise and rings. The same holds with `consumed` in place of the
// slot header for a writer that waits for room. They are seq_cst operations on the atomics
// themselves: a stand-alone fence beside an exchange is not enough on arm64, and ThreadSanitizer
// does not see it.
class ParkedFlag {
 public:
  // `flag` lies in the owner's outbox. One thread at a time.
  explicit ParkedFlag(std::atomic<uint64_t>* flag) : flag_(flag) {}

  // Before the last look and the sleep. Its partner is the load in RingOnce::MustRing.
  void Raise() { flag_->store(++sleeps_, std::memory_order_seq_cst); }

  // Awake again. relaxed: a peer that still sees the flag rings once too often, which is harmless.
  void Lower() { flag_->store(0, std::memory_order_relaxed); }

  // Sleeps begun so far.
  uint64_t sleeps() const { return sleeps_; }

 private:
  std::atomic<uint64_t>* const flag_;
  uint64_t sleeps_ = 0;
};

// The peer's side of a flag. Any thread.
class RingOnce {
 public:
  explicit RingOnce(const std::atomic<uint64_t>* flag) : flag_(flag) {}

  // After a publish, or after room was given back: whether the owner sleeps and has not been rung
  // in this sleep. The caller rings if so. Its partner is the store in ParkedFlag::Raise.
  bool MustRing() {
    const uint64_t sleep = flag_->load(std::memory_order_seq_cst);
    // relaxed: two threads that ring in one sleep agree by the exchange alone on who does.
    return sleep != 0 && rung_.exchange(sleep, std::memory_order_relaxed) != sleep;
  }

 private:
  const std::atomic<uint64_t>* const flag_;
  std::atomic<uint64_t> rung_ = 0;
};

}  // namespace shoal
