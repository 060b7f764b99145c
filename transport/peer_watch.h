// Hears of the death of a peer's process where its socket does not tell.
#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// A socket hangs up when its last holder has closed it. A peer that has forked may leave it to a
// child, which cannot use the channel and may live on for long; so this watches the process itself,
// through a pidfd (Linux 5.3). Any thread may call any member.
class PeerWatch {
 public:
  // Watches nothing.
  PeerWatch() = default;

  // Watches the process of `peer`; nothing where there is no other process to be watched: the peer
  // is in this one, or in a pid namespace that this one cannot see, or the kernel has no pidfds or
  // does not allow them. The socket alone tells then.
  //
  // kUnavailable: the process has ended already. kResourceExhausted: this process has no descriptor
  // left.
  static absl::StatusOr<PeerWatch> Create(const Peer& peer);

  // Whether the process is known to have ended. Costs a system call where one is watched.
  bool ended() const;

  // Readable when the process has ended; -1 where none is watched.
  int fd() const { return process_.get(); }

 private:
  explicit PeerWatch(UniqueFd process) : process_(std::move(process)) {}

  UniqueFd process_;
};

}  // namespace shoal
