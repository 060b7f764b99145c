// The asking side of bench/ping.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shoal {

// Connects to the server at `address`, pings it 200 times to warm both sides up, then `count` times
// in a row, each ping sent when the answer of the one before is here. Returns what each of the
// `count` took, and has disconnected. Fails with kUnavailable where no server answers, with
// kDataLoss where the answer is not what was sent.
//
// The calling thread must have no KJ event loop.
absl::StatusOr<std::vector<absl::Duration>> PingInARow(const std::string& address, int count);

}  // namespace shoal
