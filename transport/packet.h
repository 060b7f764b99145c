// Packets: what a connection's socket carries, bytes with descriptors and their sender.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// All functions work on sockets of socket.h, never block, are interrupted by no signal and can be
// called from any thread; two threads that receive from one socket share its packets out. All can
// also fail with SystemError().

// Most descriptors that the kernel takes in one packet.
inline constexpr size_t kMaxPacketFds = 253;

// What one SendPacket() sent.
struct Packet {
  std::vector<std::byte> bytes;
  absl::InlinedVector<UniqueFd, 4> fds;  // this process's own copies, close-on-exec
  ucred sender;  // who sent it, by the kernel's word: process, real user and real group id
};

// What accompanies a packet's bytes, taken out of a message that recvmsg() filled.
struct PacketControl {
  absl::InlinedVector<UniqueFd, 4> fds;
  std::optional<ucred> sender;
};
PacketControl TakeControl(msghdr& message);

// Whether this process can have one more descriptor than it has now. `fd` is any that it has.
bool CanHaveAnotherFd(int fd);

// kPermissionDenied: the system refuses this process a descriptor that came from `sender`, although
// there is room for it, as the policy of a security module does.
absl::Status FdRefused(std::string_view sender);

// recvmsg() with `flags`, MSG_DONTWAIT and MSG_CMSG_CLOEXEC. ECONNRESET, a peer that left without
// reading all, is passed over: it is told once, and ahead of the packets that the peer had sent.
ssize_t ReceiveMessage(int fd, msghdr& message, int flags = 0);

// Sends one packet: at least one byte, and copies of `fds`, which stay the caller's. All of it is
// sent or nothing.
//
// The receiver sees as the sender's user id the real one, or what `as` says: its own process id,
// and any of its real, effective and saved user and group ids.
//
// kResourceExhausted: the socket's buffer is full, as the peer does not read; or more descriptors
// are on their way than this process may have open. kUnavailable: the peer is gone.
// kInvalidArgument: no bytes, more than the buffer can ever hold, more than kMaxPacketFds
// descriptors, or one that is not open. kPermissionDenied: the peer takes no descriptors (yet): see
// AllowDescriptors().
absl::Status SendPacket(int fd, std::span<const std::byte> bytes, std::span<const int> fds,
                        const std::optional<ucred>& as = std::nullopt);

// The first bytes of the next packet, at most `max_bytes`, which stays where it is; nothing when
// there is none yet, and no bytes where ReceivePacket() fails. Takes no descriptors.
std::optional<std::vector<std::byte>> PeekPacket(int fd, size_t max_bytes);

// The next packet; empty when there is none yet. Packets that the peer sent before it went away
// still arrive.
//
// kUnavailable: the peer is gone, and there are no more packets. kDataLoss: the packet was empty,
// longer than `max_bytes` or, unless these are to be dropped, had more than `max_fds` descriptors;
// kResourceExhausted: this process could not have that many; kPermissionDenied: FdRefused(). Such a
// packet is lost, and its descriptors are closed. kFailedPrecondition: not a socket that these
// functions made.
enum class MoreFds { kRefuse, kDrop };
absl::StatusOr<std::optional<Packet>> ReceivePacket(int fd, size_t max_bytes, size_t max_fds,
                                                    MoreFds more_fds = MoreFds::kRefuse);

}  // namespace shoal
