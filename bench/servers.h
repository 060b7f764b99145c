// The answering processes of the benchmark.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shoal/bench/server_process.h"
#include "shoal/transport/options.h"

namespace shoal {

// Calls over shared memory whose server sleeps at once when there is nothing to do, see
// SleepingAtOnce().
constexpr char kSleepingShm[] = "shm, spin 0";

// Options of a channel that never spins.
ChannelOptions SleepingAtOnce();

// Where a measurement's two sides run: the same where there is only one.
struct Cpus {
  int client;
  int server;
};

// One for channels and one for each transport of calls, on the server's CPU, and the same again on
// the client's. Each sleeps until it is asked.
class Servers {
 public:
  // Pins the calling thread to the client's CPU. The servers end with that thread.
  static absl::StatusOr<Servers> Start(const Cpus& cpus);

  // Of "channel", "shm", "unix", "tcp" or kSleepingShm.
  const ServerProcess& across(const std::string& kind) const { return *across_.at(kind); }
  const ServerProcess& beside_client(const std::string& kind) const {
    return *beside_client_.at(kind);
  }

  // Ends all of them. Fails where one did not end cleanly.
  absl::Status Stop();

 private:
  using Processes = std::map<std::string, std::unique_ptr<ServerProcess>>;

  static absl::StatusOr<Processes> StartOn(int cpu);

  Processes across_;
  Processes beside_client_;
};

}  // namespace shoal
