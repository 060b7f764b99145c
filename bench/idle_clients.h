// Clients that are connected, and call nothing.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace shoal {

constexpr int kIdleClients = 256;

// Connects kIdleClients to the server of pings at `address`, each of which has had one answer, and
// keeps them until the process gets SIGTERM, which ends it with status 0. When all are there,
// prints `serving ADDRESS` to standard output, as ServerProcess wants it. kUnavailable where the
// server does not answer. The calling thread must have no KJ event loop.
absl::Status StayConnected(const std::string& address);

}  // namespace shoal
