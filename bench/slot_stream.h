// A stream of slots between two CPUs with no channel around it: what a message costs before Cap'n
// Proto.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shoal {

// Payload of a slot in a stream: with a sequence, a cache line.
constexpr int kSlotStreamWords = 7;

// Both give what one of `count` slots takes, which a thread pinned to `writer` fills and another,
// pinned to `reader`, reads whole at the same time; the threads spin, so nothing else should run
// there. A ring has as many slots as a channel's by default. Zero where both are the same CPU. The
// errors are PinTo()'s, and kDataLoss where something else was read than was written.

// Through the transport's SlotWriter and SlotReader.
absl::StatusOr<absl::Duration> TimeSlotStream(int writer, int reader, int count);

// Through a ring with nothing else in it: slots of one cache line, published with a release store.
absl::StatusOr<absl::Duration> TimeBareSlotStream(int writer, int reader, int count);

}  // namespace shoal
