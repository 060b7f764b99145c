// Calls with pauses between them, and clients that call nothing.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "shoal/bench/servers.h"
#include "shoal/bench/workload.h"

namespace shoal {

// In the order in which a round takes them, after RpcWorkloads(), to which targets refer; `servers`
// must not be stopped before the last. `time` is what a block of one may take, warming up left out.
std::vector<Workload> PacedWorkloads(const Servers& servers, const Cpus& cpus, absl::Duration time);

}  // namespace shoal
