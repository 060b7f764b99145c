// One end of a stress run: publishes one sequence of messages while it receives and verifies
// another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shoal/transport/channel.h"

namespace shoal::stress {

struct Load {
  uint64_t messages;  // in each direction
  size_t max_bytes;   // of each, from 0 up
  uint64_t seed;      // of what this end sends
  uint64_t peer_seed;
  size_t hold;  // messages received that are kept for a while, at most
};

struct Outcome {
  absl::Status status;  // the first thing that went wrong
  uint64_t received = 0;
  uint64_t received_bytes = 0;
  absl::Duration longest_wait;  // for one message
};

// Publishes on a thread of its own and receives on this one, until both have had all.
Outcome Exchange(Channel& channel, const Load& load);

}  // namespace shoal::stress
