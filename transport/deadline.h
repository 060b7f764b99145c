// The moment when a wait gives up.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/time/time.h"

namespace shoal {

// On the monotonic clock, so that setting the wall clock neither ends a wait nor makes it endless.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // A negative timeout has passed, as zero has; one above 100 years never does.
  static Deadline After(absl::Duration timeout) {
    if (timeout > kLongest) {
      return Deadline(Clock::time_point::max());
    }
    // Not below zero, where the difference to a later time could overflow.
    return Deadline(Clock::now() +
                    absl::ToChronoNanoseconds(std::max(timeout, absl::ZeroDuration())));
  }

  // The earlier one of this and After(`timeout`).
  Deadline OrAfter(absl::Duration timeout) const {
    return Deadline(std::min(at_, After(timeout).at_));
  }

  bool never() const { return at_ == Clock::time_point::max(); }
  bool passed() const { return !never() && Clock::now() >= at_; }

  // What is left, at most `most` and at least zero. A wait sleeps in pieces of at most `most` and
  // looks again.
  Clock::duration Left(Clock::duration most) const {
    const Clock::duration left = never() ? most : std::min(at_ - Clock::now(), most);
    return std::max(left, Clock::duration::zero());
  }

 private:
  static constexpr absl::Duration kLongest = absl::Hours(24 * 365 * 100);

  explicit Deadline(Clock::time_point at) : at_(at) {}

  Clock::time_point at_;
};

// A deadline that counts from the first time it is asked for: most operations end without a wait,
// and reading the clock costs them 20 ns.
class Timeout {
 public:
  explicit Timeout(absl::Duration duration) : duration_(duration) {}

  absl::Duration duration() const { return duration_; }

  const Deadline& deadline() {
    if (!deadline_) {
      deadline_ = Deadline::After(duration_);
    }
    return *deadline_;
  }

 private:
  absl::Duration duration_;
  std::optional<Deadline> deadline_;
};

// For ppoll().
inline timespec ToTimespec(Deadline::Clock::duration duration) {
  return absl::ToTimespec(absl::FromChrono(duration));
}

}  // namespace shoal
