// Calls over shared memory against what they may cost, block by block.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "shoal/bench/floor.h"

namespace shoal {

// What was measured in a row of one kind of call.
struct CallBlock {
  absl::Duration shm;
  absl::Duration client_loopback;  // the same call within one process, on the client's CPU
  absl::Duration server_loopback;  // and on the server's
  Floor floor;
  absl::Duration read;  // reading across the CPUs what the call carries

  // What the call would cost with no transport at all. The mean of the two CPUs, as a call between
  // them does half of its work on each; the dearer CPU alone would credit the transport with work
  // that it did on the other.
  absl::Duration Loopback() const { return (client_loopback + server_loopback) / 2; }
};

// How the measures of a block make the most that the call may cost.
enum class CallLimit {
  kHandovers,  // the loopback and 2 floors
  kRead,       // 1.1 times the loopback, and the read
};

absl::Duration Limit(CallLimit limit, const CallBlock& block);

// Medians over blocks. The ratio is that of `shm` to the limit within each block, so that blocks in
// which the machine was slow count like any other; it is not the quotient of the medians.
struct CallSummary {
  size_t blocks;
  absl::Duration shm;
  absl::Duration client_loopback;
  absl::Duration server_loopback;
  absl::Duration floor;
  absl::Duration read;
  absl::Duration limit;
  double ratio;

  bool Met() const { return ratio <= 1; }
};

CallSummary Summarize(CallLimit limit, const std::vector<CallBlock>& blocks);

}  // namespace shoal
