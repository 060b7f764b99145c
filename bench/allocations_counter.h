// Allocations as a counter of Google Benchmark.
#pragma once

#include <cstdint>

#include "benchmark/benchmark.h"
#include "shoal/bench/allocations.h"

namespace shoal {

// Adds to `state` how often its thread allocated for each iteration between this object's two ends,
// where that is counted.
class AllocationsCounter {
 public:
  explicit AllocationsCounter(benchmark::State& state) : state_(state), before_(Allocations()) {}
  AllocationsCounter(const AllocationsCounter&) = delete;
  AllocationsCounter& operator=(const AllocationsCounter&) = delete;
  ~AllocationsCounter() {
    if (kCountsAllocations) {
      state_.counters["allocations"] = benchmark::Counter(
          static_cast<double>(Allocations() - before_), benchmark::Counter::kAvgIterations);
    }
  }

 private:
  benchmark::State& state_;
  const uint64_t before_;
};

}  // namespace shoal
