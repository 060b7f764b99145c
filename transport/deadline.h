// The moment when a wait gives up.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"

namespace shoal {

// On the monotonic clock, so that setting the wall clock neither ends a wait nor makes it endless.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline After(absl::Duration timeout) {
    return Deadline(timeout > kLongest ? Clock::time_point::max()
                                       : Clock::now() + absl::ToChronoNanoseconds(timeout));
  }

  bool never() const { return at_ == Clock::time_point::max(); }
  bool passed() const { return !never() && Clock::now() >= at_; }

  // What is left, from zero to `most`. A wait sleeps in pieces of at most `most` and looks again.
  Clock::duration Left(Clock::duration most) const {
    return never() ? most : std::clamp(at_ - Clock::now(), Clock::duration::zero(), most);
  }

 private:
  static constexpr absl::Duration kLongest = absl::Hours(24 * 365 * 100);

  explicit Deadline(Clock::time_point at) : at_(at) {}

  Clock::time_point at_;
};

// For ppoll().
inline timespec ToTimespec(Deadline::Clock::duration duration) {
  return absl::ToTimespec(absl::FromChrono(duration));
}

}  // namespace shoal
