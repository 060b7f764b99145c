// The answering side of the benchmark's work over a channel.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace shoal {

// Does the tasks of one client after the other at `address` (as for Listen()) until the process
// gets SIGTERM, which ends it with status 0; with a client's end its channel ends. When clients can
// connect, prints `serving ADDRESS` to standard output. Fails where it cannot serve.
absl::Status ServeChannelWork(const std::string& address);

}  // namespace shoal
