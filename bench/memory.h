// How much memory a connection holds.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"

namespace shoal {

// Bytes of memory that the calling process and `other` have touched; what both map counts once. As
// the kernel has it in /proc (the sum of their Pss), in pages. kUnavailable where it is not told.
absl::StatusOr<double> HeldMemory(pid_t other);

}  // namespace shoal
