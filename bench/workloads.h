// All that the benchmark measures, and what each may take.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/bench/rounds.h"
#include "shoal/bench/sampling.h"
#include "shoal/bench/servers.h"

namespace shoal {

struct Workload {
  WorkId id;
  Measure measure = Measure::kTime;
  std::vector<Target> targets = {};  // each becomes a result; one without where there is none

  Cpus cpus = {};  // between which the floor is measured
  int cpu = 0;     // on which `sample` runs, in a new thread
  std::function<absl::StatusOr<Samples>()> sample;
};

// In the order in which a round takes them; `servers` must not be stopped before the last. `time`
// is what a block of one may take, warming up left out.
std::vector<Workload> ChannelWorkloads(const Servers& servers, const Cpus& cpus,
                                       absl::Duration time);
std::vector<Workload> RpcWorkloads(const Servers& servers, const Cpus& cpus, absl::Duration time);

// What `id` took in `round`, if it was reached.
std::optional<absl::Duration> TimeOf(const WorkId& id, const Round& round);

}  // namespace shoal
