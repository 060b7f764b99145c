// Round trips through what people use today.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/bench/peers/peer_work.h"
#include "shoal/bench/server_process.h"
#include "shoal/bench/servers.h"
#include "shoal/bench/workload.h"

namespace shoal {

// A process for each library that was installed when this was built, on the server's CPU. This
// program must call ServePeer() when it gets `--serve_peer=ADDRESS`.
class PeerServers {
 public:
  // Leaves the calling thread pinned to the client's CPU. The servers end with that thread.
  static absl::StatusOr<PeerServers> Start(const Cpus& cpus);

  PeerServers(PeerServers&&) = default;
  ~PeerServers();

  // Ends all of them, with nothing left behind. Fails where one did not end cleanly.
  absl::Status Stop();

  struct Server {
    PeerLibrary library;
    std::string address;
    std::unique_ptr<ServerProcess> process;
  };
  const std::vector<Server>& all() const { return servers_; }

 private:
  PeerServers() = default;

  std::vector<Server> servers_;
};

// `address` is the library's name, a colon and where it serves. Prints `serving ADDRESS` when it
// can be reached, and ends the process at SIGTERM.
absl::Status ServePeer(const std::string& address);

std::vector<Workload> PeerWorkloads(const PeerServers& servers, const Cpus& cpus,
                                    absl::Duration time);

}  // namespace shoal
