// The middle of measured values.
#pragma once

#include <algorithm>
#include <vector>

namespace shoal {

// The smallest value that half of the values do not exceed; a value-initialised one of none.
template <typename Value>
Value Median(std::vector<Value> values) {
  if (values.empty()) {
    return Value();
  }
  const auto middle = values.begin() + (values.size() - 1) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace shoal
