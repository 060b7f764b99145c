#include "shoal/bench/ping_times.h"

#include "shoal/bench/percentile.h"

namespace shoal {

void PingTimes::AddBlock(const std::vector<absl::Duration>& round_trips) {
  if (round_trips.empty()) {
    return;
  }
  all_.insert(all_.end(), round_trips.begin(), round_trips.end());
  block_medians_.push_back(Percentile(round_trips, 500));
}

absl::Duration PingTimes::Median() const { return Percentile(block_medians_, 500); }

absl::Duration PingTimes::Percentile99() const { return Percentile(all_, 990); }

}  // namespace shoal
