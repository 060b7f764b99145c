// Who is at the other end of a connection, and the errors that name it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace shoal {

// The user id that no user has.
inline constexpr uid_t kNoUid = static_cast<uid_t>(-1);

struct Peer {
  std::string address;  // as the user wrote it, "shm:calculator"
  pid_t pid = 0;        // 0 when the peer lives in a pid namespace that this process cannot see
  uid_t uid = 0;        // kNoUid when nobody vouches for one: over TCP, or the overflow user id

  // Whether it is known to be a process of this one's user that is in no other namespace of users,
  // processes or mounts, as a container's is. Its messages are read in place by default. Looked at
  // over shared memory alone.
  bool same_user = false;

  // "shm:calculator (pid 4711)", the way every error names a peer.
  std::string Describe() const;
};

// kUnavailable: the peer's process ended, or closed its socket, without ending the channel first.
absl::Status PeerGone(const Peer& peer);

// kUnavailable: the peer ended the channel, and everything that it published has been received.
absl::Status PeerClosed(const Peer& peer);

// kFailedPrecondition: this process was forked from `owner`, whose channel it is.
absl::Status ChannelOfParent(const Peer& peer, pid_t owner);

// kDataLoss: the peer wrote `value` in `field`, which must keep to `bound` ("at most 31").
absl::Status CorruptPeer(const Peer& peer, std::string_view field, uint64_t value,
                         std::string_view bound);

}  // namespace shoal
