// Descriptors of every kind that a peer may send in place of a region.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shoal/transport/unique_fd.h"

namespace shoal::fuzz {

enum class FdKind : uint8_t {
  kRegion,          // as it must be
  kReadOnlyRegion,  // the same, opened for reading only
  kWriteOnlyRegion,
  kNotShrinkSealed,
  kNotGrowSealed,
  kNotWriteSealed,
  kNotSealSealed,
  kUnsealed,
  kLarger,
  kSmaller,
  kWithHole,
  kAllocatedBehindItsEnd,  // a hole where it counts, and as many blocks as there must be
  kEmpty,
  kHugePages,  // where the system has some
  kNull,
  kRegularFile,
  kPath,
  kFolder,
  kPipe,
  kSocket,
  kEpoll,
  kEvent,
  kTimer,
  kLast = kTimer,
};

// One of that kind, that should have `bytes` bytes; 1 GiB at most is made.
UniqueFd MakeFd(FdKind kind, uint64_t bytes);

// The kind that a byte of a program names.
inline FdKind FdKindOf(uint8_t byte) {
  return static_cast<FdKind>(byte % (static_cast<uint8_t>(FdKind::kLast) + 1));
}

}  // namespace shoal::fuzz
