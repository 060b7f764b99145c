// How much memory a connection holds.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"

namespace shoal {

// Bytes of memory that the calling process and `other` have touched; what both map counts once. As
// the kernel has it in /proc (the sum of their Pss_Anon and Pss_Shmem, since Linux 5.4), in pages.
// Without pages of files: of a library's pages a process has the less, the more others run it.
// kUnavailable where it is not told.
absl::StatusOr<double> HeldMemory(pid_t other);

}  // namespace shoal
