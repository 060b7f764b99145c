// Which CPUs a measurement runs on.
#pragma once

#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace shoal {

// The numbers of the CPUs that the calling thread may run on, ascending; empty where there are more
// than 1024.
std::vector<int> AllowedCpus();

// From now on the calling thread runs on `cpu` alone, and what it starts does. Fails with
// kFailedPrecondition where it may not run there.
absl::Status PinTo(int cpu);

// What `measure`, which returns an absl::StatusOr, returns in a thread of its own that runs on
// `cpu` alone; PinTo()'s error where it cannot.
template <typename Measure>
auto RunOn(int cpu, Measure&& measure) -> decltype(measure()) {
  decltype(measure()) result = absl::UnknownError("not measured");
  std::thread([&] {
    const absl::Status pinned = PinTo(cpu);
    result = pinned.ok() ? std::forward<Measure>(measure)() : decltype(measure())(pinned);
  }).join();
  return result;
}

}  // namespace shoal
