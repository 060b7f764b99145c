// Where a server in a test can be reached.
#pragma once

#include <string>

#include "shoal/rpc/server.h"

namespace shoal {

// Waits until `server`, which was asked to listen at `wanted`, does so. Returns that, with the port
// that it got if it was TCP's port 0.
inline std::string WhereReached(RpcServer& server, const std::string& wanted) {
  const uint port = server.getPort().wait(server.getWaitScope());
  return port == 0 ? wanted : "127.0.0.1:" + std::to_string(port);
}

}  // namespace shoal
