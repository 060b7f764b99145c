// What other processes have used so far.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/bench/usage.h"

namespace shoal {

// All threads of process `pid`, as the kernel has it: CPU time, sleeps (of its first thread alone)
// and page faults; the rest has no value. Asking costs that process nothing. kUnavailable where
// there is no such process.
absl::StatusOr<Usage> UsageOfProcess(pid_t pid);

// What `one` and `other` use together while this thread sleeps for `time`.
absl::StatusOr<Usage> UsageWithin(absl::Duration time, pid_t one, pid_t other);

}  // namespace shoal
