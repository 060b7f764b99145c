#include "shoal/bench/ping_times.h"

#include <algorithm>
#include <cstddef>

namespace shoal {
namespace {

// The smallest value that `percent` of the values do not exceed (the nearest-rank method).
absl::Duration Percentile(std::vector<absl::Duration> values, size_t percent) {
  if (values.empty()) {
    return absl::ZeroDuration();
  }
  const size_t rank = (values.size() * percent + 99) / 100;
  const auto nth = values.begin() + (std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

}  // namespace

void PingTimes::AddBlock(const std::vector<absl::Duration>& round_trips) {
  if (round_trips.empty()) {
    return;
  }
  all_.insert(all_.end(), round_trips.begin(), round_trips.end());
  block_medians_.push_back(Percentile(round_trips, 50));
}

absl::Duration PingTimes::Median() const { return Percentile(block_medians_, 50); }

absl::Duration PingTimes::Percentile99() const { return Percentile(all_, 99); }

}  // namespace shoal
