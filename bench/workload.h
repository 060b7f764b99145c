// A kind of work that the benchmark measures, and what it may take.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/bench/rounds.h"
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

// What `id` took in `round`, if it was reached.
std::optional<absl::Duration> TimeOf(const WorkId& id, const Round& round);

// What a block may take at most, as Limit, but as a time. Where that is zero, it was not measured.
using TimeLimit =
    std::function<std::optional<absl::Duration>(const Round& round, const Block& block)>;

Target TimeTarget(std::string text, TimeLimit limit);

// `part` of the time that `other` took in the same round.
Target PartTarget(std::string text, double part, const WorkId& other);

// That an operation has none of `quantity`.
Target NoneTarget(std::string text, Quantity quantity);

// The same target, but open where the two sides share a CPU: for what is to be reached while both
// are awake.
Target AcrossCpus(Target target);

// The same work, with all its targets so, between these CPUs and sampled on `cpu`.
Workload AcrossCpus(Workload workload, const Cpus& cpus, int cpu);

}  // namespace shoal
