// When a caller that never sleeps looks whether its peer still lives.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace shoal {

// Milliseconds of a clock that is read without a system call, exact to a few of them.
inline int64_t CoarseMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// A look is a system call, so it is taken only after kCalls calls, or kMilliseconds, in which the
// peer has shown no sign of life. Reading a clock costs some 60 instructions, so a caller that
// comes often has it read once in many calls. Thus a death shows within 1,000 calls of any caller,
// and within 100 ms to one that comes every few milliseconds. One thread at a time.
class LookPace {
 public:
  static constexpr uint32_t kCalls = 256;
  static constexpr int64_t kMilliseconds = 25;

  // The clock is read in one of `least_step` calls at most, however seldom they come.
  explicit LookPace(uint32_t least_step) : least_step_(least_step) {}

  // Counts a call; true once in a while, and then IsDue() is to be asked.
  bool Count() { return --left_ == 0; }

  // Whether to look now. `sign` is a number that changes when the peer does something.
  bool IsDue(uint64_t sign) { return IsDueAt(CoarseMilliseconds(), sign); }

  // The same at a time of the caller's.
  bool IsDueAt(int64_t now, uint64_t sign) {
    quiet_calls_ += step_;
    SetStep(now - counted_ms_);
    counted_ms_ = now;
    const bool quiet = sign == sign_;
    const bool due = quiet && (quiet_calls_ >= kCalls || now - quiet_since_ms_ >= kMilliseconds);
    if (due || !quiet) {
      sign_ = sign;
      quiet_calls_ = 0;
      quiet_since_ms_ = now;
    }
    return due;
  }

 private:
  static constexpr int64_t kFast = 2;   // milliseconds: the next ones may be counted only
  static constexpr int64_t kSlow = 10;  // the clock is to be read as often as may be

  void SetStep(int64_t elapsed) {
    if (elapsed <= kFast) {
      step_ = std::min(2 * step_, kCalls);
    } else if (elapsed >= kSlow) {
      step_ = least_step_;
    }
    left_ = step_;
  }

  const uint32_t least_step_;
  uint32_t step_ = least_step_;
  uint32_t left_ = step_;  // calls to be counted until the clock is read
  uint32_t quiet_calls_ = 0;
  int64_t counted_ms_ = 0;
  int64_t quiet_since_ms_ = 0;
  uint64_t sign_ = UINT64_MAX;  // the first one is new
};

}  // namespace shoal
