#include "shoal/transport/peer_watch.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/system_error.h"

namespace shoal {

absl::StatusOr<PeerWatch> PeerWatch::Create(const Peer& peer) {
  if (peer.pid <= 0 || peer.pid == getpid()) {
    return PeerWatch();
  }
  // Close-on-exec, as every pidfd is. glibc has a function for it since 2.36 only.
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  if (process) {
    return PeerWatch(std::move(process));
  }
  switch (const int error = errno) {
    case ESRCH:
      return PeerGone(peer);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return SystemError(error, absl::StrCat("watching the peer at ", peer.Describe()));
    default:
      return PeerWatch();
  }
}

bool PeerWatch::ended() const { return process_ && HasEvent(process_.get()); }

}  // namespace shoal
