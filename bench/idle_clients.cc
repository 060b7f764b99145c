#include "shoal/bench/idle_clients.h"

#include <signal.h>
#include <unistd.h>

#include <iostream>

#include "kj/async.h"
#include "kj/exception.h"
#include "shoal/bench/ping_vats.h"

namespace shoal {

absl::Status StayConnected(const std::string& address) {
  signal(SIGTERM, [](int) { _exit(0); });
  try {
    PingClients clients(address, kIdleClients);
    std::cout << "serving " << address << std::endl;
    kj::Promise<void>(kj::NEVER_DONE).wait(clients.wait_scope());
    return absl::OkStatus();
  } catch (const kj::Exception& exception) {
    return NoAnswer(address, exception);
  }
}

}  // namespace shoal
