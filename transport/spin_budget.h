// How long a wait looks before it sleeps.
#pragma once

#include <chrono>
#include <cstdint>

#include "absl/time/time.h"

namespace shoal {

// Adapts to what the waits of the past took. Sleeping costs the sleeper about 20 us of CPU and its
// peer a wake-up of 25 us to 50 us (measured on a two-core virtual machine), so a wait that ends
// within the limit is best spun through; one that lasts several times longer is best slept through
// from its beginning, as a server's is whose requests come far apart. One thread at a time.
class SpinBudget {
 public:
  using Clock = std::chrono::steady_clock;

  // `limit` is ChannelOptions::spin: zero never spins, infinite never sleeps.
  explicit SpinBudget(absl::Duration limit);

  // What the wait that begins now may spin.
  Clock::duration Next() const;

  // The wait ended while it was spinning.
  void SpinWon() { average_ -= average_ / 4; }

  // The wait ended after a sleep, `waited` after it began.
  void Slept(Clock::duration waited);

 private:
  Clock::duration limit_;
  Clock::duration cold_;        // an average above this sleeps at once
  Clock::duration average_{0};  // of recent waits, each counted as at most 4 x cold_
};

// Tells the CPU that this is a wait, which frees the core's other thread and the memory pipeline.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// Looks until `ready()` or the end of `budget`; true when it became ready.
template <typename Ready>
bool SpinUntil(SpinBudget::Clock::duration budget, Ready ready) {
  if (budget <= SpinBudget::Clock::duration::zero()) {
    return false;
  }
  const auto begin = SpinBudget::Clock::now();
  do {
    for (int i = 0; i < 16; ++i) {  // the clock costs as much as a look or two
      if (ready()) {
        return true;
      }
      CpuRelax();
    }
  } while (SpinBudget::Clock::now() - begin < budget);
  return false;
}

}  // namespace shoal
