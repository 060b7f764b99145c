// Requests that come at random, the same every time.
#pragma once

#include <random>

#include "absl/time/time.h"

namespace shoal {

// The gaps of a Poisson process, as of many users who do not know of each other: exponentially
// distributed, so two in three are shorter than the mean. From a fixed seed: each object gives the
// same ones.
class ExponentialGaps {
 public:
  explicit ExponentialGaps(absl::Duration mean) : mean_(mean) {}

  // Above zero, and at most some 37 means.
  absl::Duration Next();

 private:
  const absl::Duration mean_;
  std::mt19937_64 random_{42};
};

}  // namespace shoal
