// How long a wait looks before it sleeps.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace shoal {

// Adapts to what the waits of the past took. Sleeping costs the sleeper about 20 us of CPU and its
// peer a wake-up of 25 us to 50 us (measured on a two-core virtual machine), so a wait that ends
// within the limit is best spun through; one that lasts several times longer is best slept through
// from its beginning, as a server's is whose requests come far apart. Between the two, to stop at
// the limit would cost both; waits that last about as long spin twice as long.
//
// Two sides that sleep can keep each other asleep: each one's wait lasts as long as the other's
// wake-up, which may be more than the limit. Two things end that. A wait for a peer that has just
// been rung may spin several times the limit; and of the waits that would sleep at once, one in
// eight spins all the same, to find out whether the peer is awake by now.
//
// What follows a sleep is judged by itself: a request that comes after a long pause often has
// company, as the message in which Cap'n Proto's RPC lets go of an answer has, and its peer then
// spares a wake-up.
//
// One thread at a time.
class SpinBudget {
 public:
  using Clock = std::chrono::steady_clock;

  // What is known of the peer when a wait begins.
  enum class Peer {
    kAwake,      // or nothing
    kRung,       // it slept, has been rung, and has not answered yet
    kOnThisCpu,  // where it cannot run while this side spins
  };

  // `limit` is ChannelOptions::spin: zero never spins, infinite never sleeps.
  explicit SpinBudget(absl::Duration limit);
  SpinBudget(const SpinBudget&) = delete;
  SpinBudget& operator=(const SpinBudget&) = delete;

  // A wait begins: what it may spin.
  Clock::duration Begin(Peer peer);

  // It ended while it was spinning, `waited` after it began.
  void SpinWon(Clock::duration waited);

  // It ended after a sleep, `waited` after it began.
  void Slept(Clock::duration waited);

 private:
  struct Waits {
    Clock::duration limit;
    int sleeps_per_trial;
    Clock::duration average{0};  // of recent ones, each counted as at most 8 x limit
    int sleeps = 0;              // at once, since the last trial

    Clock::duration cold() const { return 2 * limit; }  // an average above this sleeps at once
    Clock::duration Spin();
    Clock::duration SleepAtOnceOrTry();
    void Learn(Clock::duration waited);
  };

  bool endless_;
  Waits awake_;
  Waits after_sleep_;
  Waits rung_;
  Waits on_this_cpu_;
  Waits* current_ = nullptr;  // those of the wait that began last
  bool slept_ = false;        // in the one before
};

// Tells the CPU that this is a wait, which frees the core's other thread and the memory pipeline.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// Looks until `ready()` or the end of `budget`, and returns how long that took, to within 16 looks;
// nothing when it did not become ready.
template <typename Ready>
std::optional<SpinBudget::Clock::duration> SpinUntil(SpinBudget::Clock::duration budget,
                                                     Ready ready) {
  const auto begin = SpinBudget::Clock::now();
  SpinBudget::Clock::duration spun{0};
  while (spun < budget) {
    for (int i = 0; i < 16; ++i) {  // the clock costs as much as a look or two
      if (ready()) {
        return spun;
      }
      CpuRelax();
    }
    spun = SpinBudget::Clock::now() - begin;
  }
  return std::nullopt;
}

}  // namespace shoal
