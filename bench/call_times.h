// What calls take, over shared memory and over nothing.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/bench/ping_calls.h"

namespace shoal {

// How many calls to time, of each kind.
struct CallCounts {
  int pings;
  int sinks;
};

// The medians. Each call is made when the answer to the one before is here.
struct CallTimes {
  absl::Duration ping;  // 16 bytes both ways
  absl::Duration sink;  // kSinkBytes, filled in the request and read whole by the server
};

// Both warm up with calls that are not timed, must be called in a thread with no KJ event loop, and
// leave it with none. Fail with kDataLoss where an answer is wrong.

// Connects to the server at `address`, and disconnects. Fails with kUnavailable where none answers.
absl::StatusOr<CallTimes> TimeCallsTo(const std::string& address, CallCounts counts);

// Between two RPC systems in this thread, on a LoopbackNetwork.
absl::StatusOr<CallTimes> TimeLoopbackCalls(CallCounts counts);

}  // namespace shoal
