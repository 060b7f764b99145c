// The transports and the options that RPC is tested with.
#pragma once

#include <sys/resource.h>

#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "shoal/tests/echo_options.h"
#include "shoal/transport/options.h"

namespace shoal {

// One way to run each test; both sides have the same options.
struct Setup {
  std::string name;
  std::string transport;
  std::string options = "default";
};

inline void PrintTo(const Setup& setup, std::ostream* out) { *out << setup.name; }

// "default", "smallest", "untrusting", "sleeping" (never spins) or "spinning" (never sleeps).
inline ChannelOptions RpcOptions(const std::string& name) {
  ChannelOptions options = EchoOptions(name);
  options.connect_timeout = absl::InfiniteDuration();  // hundreds of clients come at once
  if (name == "untrusting") {
    options.trust = Trust::kNone;
  } else if (name == "sleeping") {
    options.spin = absl::ZeroDuration();
  } else if (name == "spinning") {
    options.spin = absl::InfiniteDuration();
  }
  return options;
}

// Lets this process have as many descriptors as it may: a connection over shared memory takes
// several, and the usual limit is 1024.
inline rlim_t RaiseDescriptorLimit() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace shoal
