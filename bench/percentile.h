// What most of some measured values stay within.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace shoal {

// The smallest value that `per_mille` in 1000 of the values do not exceed (the nearest-rank
// method); a value-initialised one of none.
template <typename Value>
Value Percentile(std::vector<Value> values, size_t per_mille) {
  if (values.empty()) {
    return Value();
  }
  const size_t rank = std::max<size_t>((values.size() * per_mille + 999) / 1000, 1);
  const auto nth = values.begin() + (rank - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

}  // namespace shoal
