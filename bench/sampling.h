// Taking samples of an operation for as long as there is time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "shoal/bench/rounds.h"

namespace shoal {

// What a block may take, warming up left out. At least one batch is taken.
struct SampleBudget {
  absl::Duration time;
  absl::Duration idle =
      absl::ZeroDuration();  // slept before each operation: not timed, but a sleep as well
};

// How many operations, that are `bytes` large, go without a look at the budget.
inline int BatchOf(uint64_t bytes, const SampleBudget& budget) {
  if (budget.time == absl::ZeroDuration()) {
    return 1;
  }
  const int most = bytes <= 1024 ? 1000 : bytes <= 65536 ? 200 : bytes <= 1048576 ? 20 : 1;
  // Sleeping takes the time of many operations.
  return budget.idle == absl::ZeroDuration() ? most : std::min(most, 10);
}

// Sleeps for budget.idle, times `operate(sequence)`, and adds the time to `samples`. `operate`
// returns an absl::Status.
template <typename Operate>
absl::Status TakeSample(Operate& operate, const SampleBudget& budget, Samples& samples) {
  if (budget.idle > absl::ZeroDuration()) {
    absl::SleepFor(budget.idle);
  }
  const uint64_t sequence = samples.operations++;
  const auto begin = std::chrono::steady_clock::now();
  absl::Status done = operate(sequence);
  samples.times.push_back(absl::FromChrono(std::chrono::steady_clock::now() - begin));
  return done;
}

// Takes batches of samples: `batch(samples)`, which returns an absl::Status, once to warm up, and
// then until the time is up. `usage()` returns an absl::StatusOr<Usage> of both sides so far.
template <typename Batch, typename ReadUsage>
absl::StatusOr<Samples> TakeBatches(const SampleBudget& budget, Batch batch, ReadUsage usage) {
  Samples warm_up;
  if (absl::Status warm = batch(warm_up); !warm.ok()) {
    return warm;
  }
  Samples samples;
  // Touches the memory too, so that no page fault of this is in a sample.
  samples.times.resize(size_t{1} << 20);
  samples.times.clear();
  const absl::StatusOr<Usage> before = usage();
  if (!before.ok()) {
    return before.status();
  }
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(budget.time);
  do {
    if (absl::Status taken = batch(samples); !taken.ok()) {
      return taken;
    }
  } while (std::chrono::steady_clock::now() < end);
  const absl::StatusOr<Usage> after = usage();
  if (!after.ok()) {
    return after.status();
  }
  samples.used = *after - *before;
  return samples;
}

}  // namespace shoal
