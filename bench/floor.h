// The least that it can cost to have two CPUs take turns.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace shoal {

// One cache line there and back between the CPUs of a measurement, as it began and as it ended.
// Zero on one CPU.
struct Floor {
  absl::Duration before;
  absl::Duration after;

  absl::Duration Mean() const { return (before + after) / 2; }

  // Whether it stayed within 30 % of itself. Where it did not, the machine was in two states, and
  // parts of the measurement were taken in different ones.
  bool Steady() const {
    const auto [low, high] = std::minmax(before, after);
    return high <= 1.3 * low;
  }
};

}  // namespace shoal
