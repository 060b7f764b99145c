#include "shoal/bench/gaps.h"

#include <algorithm>
#include <cmath>

namespace shoal {

absl::Duration ExponentialGaps::Next() {
  // The distribution of the standard library is another in each library. In (0, 1], in steps of
  // 2^-53.
  const double uniform = (static_cast<double>(random_() >> 11) + 1) * 0x1p-53;
  return std::max(absl::Nanoseconds(1), -std::log(uniform) * mean_);
}

}  // namespace shoal
