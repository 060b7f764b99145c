// All work over plain channels that the benchmark measures.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "shoal/bench/servers.h"
#include "shoal/bench/workload.h"

namespace shoal {

// In the order in which a round takes them; `servers` must not be stopped before the last. `time`
// is what a block of one may take, warming up left out.
std::vector<Workload> ChannelWorkloads(const Servers& servers, const Cpus& cpus,
                                       absl::Duration time);

}  // namespace shoal
