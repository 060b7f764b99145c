#pragma once
// A transport's durations as KJ's, and deadlines for the timer of a KJ event loop.

#include <algorithm>

#include "absl/time/time.h"
#include "kj/time.h"

namespace shoal {

inline kj::Duration toKj(absl::Duration duration) {
  // A hundred years stand for ever: more, added to a time, does not fit KJ's 64 bits of
  // nanoseconds.
  return absl::ToInt64Nanoseconds(std::min(duration, absl::Hours(24 * 365 * 100))) *
         kj::NANOSECONDS;
}

inline kj::TimePoint deadlineIn(absl::Duration duration) {
  // For Timer::atTime(). Timer::afterDelay() counts from the loop's last look at the clock, which
  // may be longer ago than any timeout if the thread was elsewhere.
  return kj::systemPreciseMonotonicClock().now() + toKj(duration);
}

}  // namespace shoal
