// What it costs that a call's two sides run on two CPUs, before any software.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shoal {

// All measure with two threads, one pinned to each CPU, that spin: nothing else should run there.
// Zero where both are the same CPU, as nothing has to cross. The errors are PinTo()'s.

// What one cache line there and one back takes: `near` stores in a line that `far` spins on, and
// `far` answers in another. The median of `batches` batches of 100.
absl::StatusOr<absl::Duration> TimeHandover(int near, int far, int batches);

// What `reader` takes to read `bytes`, whole, that `writer` has just written, in memory that both
// have touched. The median of `count`.
absl::StatusOr<absl::Duration> TimeCrossRead(int writer, int reader, size_t bytes, int count);

// What one of `count` messages of `bytes` takes that `writer` fills and `reader` reads whole at the
// same time, a few behind, in turn in 4 MiB of memory that both have touched: as fast as a stream
// can be.
absl::StatusOr<absl::Duration> TimeCrossStream(int writer, int reader, size_t bytes, int count);

}  // namespace shoal
