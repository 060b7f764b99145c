#pragma once
// A transport's durations as KJ's.

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

}  // namespace shoal
